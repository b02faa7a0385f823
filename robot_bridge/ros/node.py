"""One lifecycle node that has a bridge: is there one, and may it be armed? `activate` never arms.

unconfigured: nothing is open. inactive: devices, control thread and OperatorService run, arming is refused
and topics are silent. active: topics are published and operators may arm. Deactivating disarms.
"""

import dataclasses
import logging
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from robot_bridge.bridge import Refused
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.ros.dds_profile import profile_in_force
from robot_bridge.ros.declaring import declare, refusal, run_options, topic_settings, values_of
from robot_bridge.ros.diagnostics import bridge_statuses, diagnostic_array, graph_status, lifecycle_status
from robot_bridge.ros.frames import names_of
from robot_bridge.ros.graph import graph_problems
from robot_bridge.ros.parameters import NODE_NAME, PARAMETERS
from robot_bridge.ros.quality import DIAGNOSTICS
from robot_bridge.ros.topics import HAS_TF, Topics
from robot_bridge.running import RunningBridge
from robot_contract.errors import DeviceFault, RigError
from robot_contract.messages import OperatorEvent

_log = logging.getLogger(__name__)

_INACTIVE = "the ROS node is inactive: activate it first"
_POLLS = 3  # looks for a new picture per picture
_NAMES = {parameter.name for parameter in PARAMETERS}


class BridgeNode(LifecycleNode):
    def __init__(self) -> None:
        super().__init__(NODE_NAME)
        declare(self)
        self.add_on_set_parameters_callback(self._judge_parameters)
        self.problem = "not configured yet"  # why there is no bridge
        self.is_finalized = False
        self._running: RunningBridge | None = None
        self._topics: Topics | None = None
        self._streams: list[Timer] = []
        self._missed_before = 0
        self._graph_before: list[str] = []
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", DIAGNOSTICS)
        self.create_service(Trigger, "~/stop", self._stop)
        self.create_timer(1.0, self._diagnose)

    @property
    def has_failed(self) -> str:
        """Why the control thread has ended; empty while it runs."""
        return "; ".join(self._running.bridge.control.problems()) if self._running is not None else ""

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._carry_out(self._configure, super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._carry_out(lambda: None, super().on_activate, state)  # the publishers first
        return (
            self._carry_out(self._activate, None, state) if done == TransitionCallbackReturn.SUCCESS else done
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._carry_out(self._deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._carry_out(self.release, super().on_cleanup, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._carry_out(self.release, super().on_error, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.is_finalized = True
        return self._carry_out(self.release, super().on_shutdown, state)

    def _LifecycleNodeMixin__on_change_state(  # rclpy's own callback of the service
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """A transition that is not possible now ends the process in rclpy 7.1; here it is refused."""
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, response)
        except RuntimeError as error:
            _log.warning("a transition was refused: %s", error)
            response.success = False
            return response

    def _carry_out(
        self,
        act: Callable[[], None],
        then: Callable[[LifecycleState], TransitionCallbackReturn] | None,
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        """A service's boundary: rclpy drops the words of what a transition raises, so they are said here."""
        try:
            act()
            return then(state) if then is not None else TransitionCallbackReturn.SUCCESS
        except (RigError, DeviceFault, ValueError) as error:
            self.problem = str(error)
            _log.error("%s", error)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # noqa: BLE001 - a service's boundary: the rest goes to the log
            self.problem = f"{type(error).__name__}: {error}"
            _log.exception("a transition failed")
            return TransitionCallbackReturn.ERROR

    def _configure(self) -> None:
        values = values_of(self)
        for name, value in values.items():
            if words := refusal(name, value):
                raise RigError(words)
        rig = self._with_own_names(load_rig(find_rig(str(values["rig"]))))
        running = RunningBridge(rig, run_options(values))
        running.bridge.withheld = _INACTIVE
        try:
            running.start()
        except BaseException:
            running.close()
            raise
        names = names_of(running.rig.arm.model, str(values["arm_prefix"]))
        self._running, self.problem, self._missed_before = running, "", 0
        self._topics = Topics(self, running.bridge, names, topic_settings(values))
        if values["publish_tf"] and not HAS_TF:
            _log.info("tf2_msgs is not installed: nothing is broadcast on tf")

    def _with_own_names(self, rig: Rig) -> Rig:
        """A driver behind topics gets them as this node's namespace and remappings have them."""
        if rig.arm.driver != "crisp":
            return rig
        options = {
            name: self.resolve_topic_name(value) if name.endswith(("_topic", "_action")) else value
            for name, value in rig.arm.options.items()
        }
        return dataclasses.replace(rig, arm=dataclasses.replace(rig.arm, options=options))

    def _activate(self) -> None:
        assert self._running is not None
        assert self._topics is not None
        settings, topics = self._topics.settings, self._topics
        topics.begin()
        self._streams.append(self.create_timer(1.0 / settings.state_rate_hz, topics.publish_state))
        if settings.image_rate_hz > 0:
            period = 1.0 / (_POLLS * settings.image_rate_hz)
            self._streams.append(self.create_timer(period, topics.publish_pictures))
        self._running.bridge.withheld = ""

    def _deactivate(self) -> None:
        assert self._running is not None
        self._running.bridge.withheld = _INACTIVE
        self._end_streams()
        if self._running.bridge.snapshot().modes.mode in ("ARMED", "RUNNING", "HOLDING"):
            event = OperatorEvent(action="disarm", operator="ROS", note="the node was deactivated")
            try:
                self._running.bridge.send(event)
            except Refused as error:
                _log.warning("%s: stopped instead", error)
                self._running.bridge.stop(event)

    def release(self) -> None:
        """Let the arm come to rest and give everything back; the devices close whatever else happens."""
        self._end_streams()
        topics, self._topics = self._topics, None
        running, self._running = self._running, None
        self.problem = self.problem or "not configured"
        try:
            if topics is not None:
                topics.close()
        finally:
            if running is not None:
                running.close()

    def _end_streams(self) -> None:
        for timer in self._streams:
            self.destroy_timer(timer)
        self._streams.clear()

    # what anybody may ask for

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        if self._running is None:
            response.success, response.message = False, f"there is no bridge to stop: {self.problem}"
            return response
        bridge = self._running.bridge
        try:
            bridge.stop(OperatorEvent(action="stop", operator="ROS", note="~/stop was called"))
        except Refused as error:
            response.success, response.message = False, str(error)
            return response
        modes = bridge.snapshot().modes
        response.success, response.message = True, f"{modes.mode}: {modes.why}"
        return response

    def _judge_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name not in _NAMES:
                continue
            if self._running is not None:
                reason = f"{parameter.name} counts when the node is configured: clean it up first"
                return SetParametersResult(successful=False, reason=reason)
            if words := refusal(parameter.name, parameter.value):
                return SetParametersResult(successful=False, reason=words)
        return SetParametersResult(successful=True)

    # what is well and what is not

    def _diagnose(self) -> None:
        ends = self._topics.ends if self._topics is not None else []
        found = graph_problems(self, ends)
        for problem in found:
            if problem not in self._graph_before:
                _log.warning("%s", problem)
        self._graph_before = found
        statuses: list[DiagnosticStatus] = [graph_status(found, profile_in_force())]
        hardware = ""
        if self._running is None:
            statuses.insert(0, lifecycle_status(self.problem))
        else:
            status, rig = self._running.bridge.status(), self._running.rig
            hardware = rig.arm.id
            statuses = bridge_statuses(rig, status, status.missed_ticks - self._missed_before) + statuses
            self._missed_before = status.missed_ticks
        stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name().lstrip("/")
        self._diagnostics.publish(diagnostic_array(name, statuses, hardware, stamp))
