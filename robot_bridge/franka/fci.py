"""libfranka through franky: one connection to one arm, with what its rig says set and checked.

What franky may raise is a `DeviceFault` with a sentence here. Only the link's thread calls it, `halt` aside.
The 1 kHz loop is franky's own thread in C++; a blocked interpreter does not hold it up.
"""

import time

import franky
import numpy as np

from robot_bridge.franka.control_interface import FciState, Tracking
from robot_bridge.franka.errors import names_in
from robot_bridge.franka.model_check import model_problem
from robot_bridge.franka.patience import within
from robot_bridge.franka.settings import FrankaSettings, inertia_matrix
from robot_bridge.rig import Rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, read_only

VELOCITY_LIFE = 80  # [ms] that a velocity command is held; then franky's own thread brings it to zero
_CONNECT_SECONDS = 5.0
_SETTLE = 0.05  # [s] until settings are seen in the state
_SAME_FRAME = 1e-4  # [m] and of the rotation matrix
_DYNAMICS = (0.2, 0.1, 0.1)  # shares of the maker's velocity, acceleration, jerk for velocity commands
_FAULTY_MODES = {
    franky.RobotMode.UserStopped: "user_stopped",
    franky.RobotMode.Guiding: "guiding",
    franky.RobotMode.Other: "not_ready",
    franky.RobotMode.Reflex: "reflex",
}


class Fci:
    def __init__(self, rig: Rig) -> None:
        assert rig.franka is not None
        self.address = rig.arm.options["address"]
        self._tracking: Tracking = "velocity" if rig.arm.options["tracking"] == "velocity" else "impedance"
        self._settings: FrankaSettings = rig.franka
        self._flange_from_tcp = rig.flange_from_tcp
        self._tcp_from_flange = rig.flange_from_tcp.inverse()
        self._robot = _connect(self.address, rig.arm.options["realtime"])
        self._motion: franky.JointImpedanceTrackingMotion | None = None
        problem = model_problem(self._robot.model_urdf, rig.limits.arm)
        if problem:
            raise DeviceFault(f"the arm at {self.address} is not the rig's: {problem}")
        try:
            self._set_up()
        except franky.Exception as error:
            raise DeviceFault(f"the arm at {self.address} refuses its settings: {error}") from error

    def _set_up(self) -> None:
        """Thresholds, load and tool frame as in the rig; then see that the arm took the frame."""
        robot, settings = self._robot, self._settings
        torque, force = list(settings.collision.torque), list(settings.collision.force)
        robot.set_collision_behavior(torque, torque, force, force)
        load = settings.load
        robot.set_load(load.mass, list(load.center_of_mass), inertia_matrix(load))
        nominal = np.array(robot.state.F_T_NE.matrix)
        wanted = self._flange_from_tcp.matrix()
        effector = np.linalg.inv(nominal) @ wanted
        robot.set_ee(effector.T.reshape(-1).tolist())
        robot.relative_dynamics_factor = franky.RelativeDynamicsFactor(*_DYNAMICS)
        until = time.monotonic() + 1.0
        while True:
            time.sleep(_SETTLE)
            found = np.array(robot.state.F_T_EE.matrix)
            if float(np.abs(found - wanted).max()) <= _SAME_FRAME:
                return
            if time.monotonic() >= until:
                raise DeviceFault(
                    f"the arm at {self.address} did not take the rig's flange_from_tcp: its end effector"
                    f" stands at {found[:3, 3].round(4).tolist()} m, the rig says"
                    f" {wanted[:3, 3].round(4).tolist()} m"
                )

    def read(self) -> FciState:
        """The newest state; without a motion this waits for it, a millisecond mostly."""
        try:
            state = self._robot.state
            in_control = self._robot.is_in_control
        except (franky.Exception, RuntimeError) as error:
            raise DeviceFault(f"the arm at {self.address} does not answer: {error}") from error
        errors = _listed(state.current_errors)
        mode = _FAULTY_MODES.get(state.robot_mode)
        if mode is not None and not errors and not in_control:
            errors = _listed(state.last_motion_errors) if mode == "reflex" else ()
            errors = errors or (mode,)
        tcp = Pose.from_matrix(np.array(state.O_T_EE.matrix))
        flange = tcp @ self._tcp_from_flange
        return FciState(
            robot_time=state.time.to_sec(),
            joint_position=read_only(state.q),
            joint_velocity=read_only(state.dq),
            flange_pose=flange,
            external_wrench=wrench_at_flange(np.array(state.O_F_ext_hat_K), tcp, flange),
            errors=errors,
            in_control=in_control,
            success_rate=float(state.control_command_success_rate),
        )

    def how_it_ended(self) -> tuple[str, ...]:
        """Names of what ended the last motion; empty when it ended as it was told to."""
        try:
            self._robot.poll_motion()
        except franky.ControlException as error:
            if "preempted" in str(error):
                return ()
            return names_in(str(error)) or ("motion_ended",)
        except franky.NetworkException as error:
            raise DeviceFault(f"the arm at {self.address} does not answer: {error}") from error
        except (franky.Exception, RuntimeError):
            return ("motion_ended",)
        return ()

    @property
    def tracking(self) -> Tracking:
        return self._tracking

    def begin(self, joint_position: Vector) -> None:
        """Take control, standing where the arm stands."""
        stiffness = self._settings.stiffness
        self.how_it_ended()  # franky raises the end of the last motion again until somebody has heard it
        try:
            if self._tracking == "impedance":
                motion = franky.JointImpedanceTrackingMotion(
                    stiffness=np.full(7, stiffness.posture),
                    cartesian_stiffness=np.array([stiffness.translation] * 3 + [stiffness.rotation] * 3),
                )
                motion.set_reference(franky.JointReference(q=joint_position))
                self._robot.move(motion, asynchronous=True)
                self._motion = motion
            else:
                self.push(np.zeros(6))
        except (franky.Exception, RuntimeError) as error:
            raise DeviceFault(f"the arm at {self.address} does not begin to move: {error}") from error

    def pull(self, joint_position: Vector, joint_velocity: Vector) -> None:
        """Impedance: the newest reference."""
        assert self._motion is not None
        self._motion.set_reference(franky.JointReference(q=joint_position, dq=joint_velocity))

    def push(self, twist: Vector) -> None:
        """Velocity: [m/s, rad/s] of the tool centre point, base frame, for `VELOCITY_LIFE` and no longer."""
        velocity = franky.RobotVelocity(franky.Twist(twist[:3], twist[3:]))
        still = franky.RobotVelocity(franky.Twist(np.zeros(3), np.zeros(3)))
        motion = franky.CartesianVelocityWaypointMotion(
            [
                franky.CartesianVelocityWaypoint(velocity, max_total_duration=franky.Duration(VELOCITY_LIFE)),
                franky.CartesianVelocityWaypoint(still),
            ]
        )
        try:
            self._robot.move(motion, asynchronous=True)
        except (franky.Exception, RuntimeError) as error:
            raise DeviceFault(f"the arm at {self.address} does not take a velocity: {error}") from error

    def halt(self) -> None:
        """Decelerate along the present path and give control back; from any thread, at once."""
        try:
            if self._robot.is_in_control:
                stop = (
                    franky.TorqueStopMotion()
                    if self._tracking == "impedance"
                    else franky.CartesianVelocityStopMotion()
                )
                self._robot.move(stop, asynchronous=True)
        except (franky.Exception, RuntimeError):
            self._abort()

    def _abort(self) -> None:
        try:
            self._robot.stop()
        except (franky.Exception, RuntimeError) as error:
            raise DeviceFault(f"the arm at {self.address} does not stop: {error}; press its stop") from error

    def close(self) -> None:
        """Give the connection back at once: the arm takes one client only."""
        self._motion = None
        del self._robot

    def recover(self) -> None:
        """Ask the arm to take its own error away. Up to the arm's standstill; about a second at most."""
        try:
            recovered = self._robot.recover_from_errors()
        except (franky.Exception, RuntimeError) as error:
            raise DeviceFault(f"the arm at {self.address} does not recover: {error}") from error
        if not recovered:
            raise DeviceFault(f"the arm at {self.address} keeps its error; look at Desk")


def _connect(address: str, realtime: str) -> franky.Robot:
    """An arm that another program holds lets one wait for ever: no longer than `_CONNECT_SECONDS`."""
    config = franky.RealtimeConfig.Enforce if realtime == "enforce" else franky.RealtimeConfig.Ignore
    try:
        return within(_CONNECT_SECONDS, lambda: franky.Robot(address, realtime_config=config))
    except TimeoutError:
        raise DeviceFault(
            f"the arm at {address} does not answer within {_CONNECT_SECONDS:g} s: most likely another"
            " program, or a bridge that has not ended yet, holds its control interface"
        ) from None
    except franky.IncompatibleVersionException as error:
        raise DeviceFault(
            f"the arm at {address} speaks another version than this libfranka: {error}; an FR3 from system"
            " 5.9 needs the wheel from PyPI, other arms a wheel of franky-control built for their version"
        ) from error
    except franky.RealtimeException as error:
        raise DeviceFault(
            f"the rig says realtime: enforce, and this computer does not: {error}; a PREEMPT_RT kernel is"
            " needed; `ignore` is for a simulated control interface"
        ) from error
    except (franky.Exception, RuntimeError) as error:
        raise DeviceFault(
            f"no arm answers at {address}: {error}; see that its address is right, the brakes are open and"
            " the FCI is activated in Desk, and that no other program holds it"
        ) from error


def _listed(errors: franky.Errors) -> tuple[str, ...]:
    if repr(errors) == "[]":  # asked 200 times a second
        return ()
    return tuple(name for name in dir(errors) if not name.startswith("_") and getattr(errors, name) is True)


def wrench_at_flange(at_tcp: Vector, tcp: Pose, flange: Pose) -> Vector:
    """libfranka tells what the arm does to the world at the tool; here, what the world does at the flange."""
    force, moment = -at_tcp[:3], -at_tcp[3:]
    return read_only(np.concatenate([force, moment + np.cross(tcp.position - flange.position, force)]))
