"""An arm behind the topics of crisp_controllers: `target_pose` out, `current_pose` and `joint_states` in.

For labs whose arm runs under ros2_control. The controller takes poses and keeps the last one, so what is
promised here is poses only: no posture, no joint limits beyond those that were judged. It has no watchdog of
its own: when targets stop coming, the arm comes to rest at the last one, which the leash keeps close.
"""

from typing import Protocol

from robot_bridge.clock import MonotonicClock
from robot_bridge.devices import ArmState, GripperState
from robot_bridge.kinematics import flange_pose as forward
from robot_bridge.open_devices import Devices
from robot_bridge.rig import Rig
from robot_bridge.ros.crisp_link import ArmTopics, CrispLink
from robot_bridge.ros.position_hand import PositionHand
from robot_bridge.ros.requirements import require_franka_msgs
from robot_contract.errors import DeviceFault, RigError
from robot_contract.pose import Pose, Vector, angle_between, distance_between, read_only

STOPPED = "stopped_by_command"
_START_SECONDS = 10.0  # [s] for both topics to be heard
_SILENCE = 0.3  # [s] of a topic; long before, the envelope holds on the state's age
_DISAGREEMENT = (0.03, 0.2)  # [m], [rad] between the pose that is reported and that of the joints
_STANDING = 0.005  # [m] that the measured pose may be off the last target for that one to stay
_NO_WRENCH = read_only([0.0] * 6)


class Hand(Protocol):
    def read(self) -> GripperState: ...
    def move(self, width: float) -> None: ...
    def recover(self) -> None: ...
    def close(self) -> None: ...


class Recovery(Protocol):
    def fault(self) -> str: ...
    def recover(self) -> None: ...


class CrispArm:
    def __init__(self, rig: Rig, link: CrispLink, recovery: Recovery | None, hand: Hand) -> None:
        is_flange = rig.arm.options["pose_frame"] == "flange"
        self._flange_from_end = Pose.identity() if is_flange else rig.flange_from_tcp
        self._clock = MonotonicClock()
        self._link = link
        self._recovery = recovery
        self._hand = hand
        self._fault = ""
        self._target: Pose | None = None  # of the flange: as it was sent, or where the arm stood at first

    def read(self) -> ArmState:
        joints, heard = self._link.joints, self._link.pose
        if joints is None or heard is None:
            raise DeviceFault(self._link.silence(_SILENCE))
        measured_at = min(joints.arrived_at, heard.arrived_at)
        if not self._clock.now() - measured_at <= _SILENCE:
            raise DeviceFault(self._link.silence(_SILENCE))
        flange = forward(joints.position)
        self._require_agreement(flange @ self._flange_from_end, heard.pose)
        self._target = self._target or flange
        return ArmState(
            measured_at=measured_at,
            joint_position=joints.position,
            joint_velocity=joints.velocity,
            flange_pose=flange,
            commanded_flange_pose=self._target,
            external_wrench=_NO_WRENCH,
            fault=self._fault or (self._recovery.fault() if self._recovery is not None else "") or None,
        )

    def track(self, flange_pose: Pose, joint_posture: Vector | None) -> None:
        del joint_posture  # the controller takes poses only
        if not flange_pose.is_finite():
            raise DeviceFault(f"the arm takes finite poses only, not {flange_pose}")
        if self._fault:
            raise DeviceFault(f"the arm refuses to move after {self._fault!r}; recover() is needed")
        if problem := self._link.target_problem():
            raise DeviceFault(problem)
        self._target = flange_pose
        self._link.send(flange_pose @ self._flange_from_end)

    def stop(self) -> None:
        """The last target stands, ahead on the path by the leash at most: there the arm comes to rest."""
        self._fault = self._fault or STOPPED

    def recover(self) -> None:
        if self._recovery is not None and self._recovery.fault():
            self._recovery.recover()
        self._hand.recover()
        self._fault = ""
        flange = self.read().flange_pose
        if self._target is not None and distance_between(self._target, flange) > _STANDING:
            self._target = flange  # somebody or something moved it: it stays where it is now
            self._link.send(flange @ self._flange_from_end)

    def close(self) -> None:
        self._link.close()

    def _require_agreement(self, computed: Pose, reported: Pose) -> None:
        distance, angle = distance_between(computed, reported), angle_between(computed, reported)
        if not (distance <= _DISAGREEMENT[0] and angle <= _DISAGREEMENT[1]):
            topics = self._link.topics
            raise DeviceFault(
                f"{topics.pose} and {topics.joints} disagree by {distance * 1000:.0f} mm and {angle:.2f} rad:"
                " another arm, another frame than arm.options.pose_frame says, or one of them stands still"
            )


def open_crisp(rig: Rig) -> Devices:
    options = rig.arm.options
    link = CrispLink(
        ArmTopics(
            target=options["target_topic"],
            pose=options["pose_topic"],
            joints=options["joint_topic"],
            base_frame=options["base_frame"],
            model=rig.arm.model,
        )
    )
    try:
        hand = _hand(rig, link)
        arm = CrispArm(rig, link, _recovery(rig, link), hand)
        link.wait_for_arm(_START_SECONDS)
        return Devices(arm=arm, gripper=hand, cameras={}, clock=MonotonicClock())
    except BaseException:
        link.close()
        raise


def _hand(rig: Rig, link: CrispLink) -> Hand:
    options = rig.arm.options
    where = link.node, options["gripper_topic"], options["finger_topic"], rig.gripper.max_width
    if options["gripper"] == "position":
        return PositionHand(*where)
    require_franka_msgs(f"{rig.file.name}: arm.options.gripper is {options['gripper']}")
    from robot_bridge.ros.franka_actions import ActionHand

    return ActionHand(*where)


def _recovery(rig: Rig, link: CrispLink) -> Recovery | None:
    options = rig.arm.options
    if options["recovery"] == "none":
        return None
    missing = [name for name in ("recovery_action", "robot_state_topic") if name not in options]
    if missing:
        raise RigError(f"{rig.file.name}: arm.options: recovery: franka_msgs needs {', '.join(missing)}")
    require_franka_msgs(f"{rig.file.name}: arm.options.recovery is {options['recovery']}")
    from robot_bridge.ros.franka_actions import FrankaRecovery

    return FrankaRecovery(link.node, options["recovery_action"], options["robot_state_topic"])
