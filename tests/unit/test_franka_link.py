"""The link to a Franka arm, before a control interface that obeys in no time and fails when told to."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from robot_bridge.franka.arm import FrankaArm
from robot_bridge.franka.control_interface import FciState, Tracking
from robot_bridge.franka.link import CONTROL_LIFETIME, STOPPED, TARGET_LIFETIME
from robot_bridge.kinematics import flange_pose
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, distance_between, read_only

HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])


class ObedientInterface:
    """Joints are where they were sent; what a test sets is reported."""

    def __init__(self, tracking: Tracking = "impedance") -> None:
        self.tracking: Tracking = tracking
        self.joints = HOME
        self.velocity = np.zeros(7)
        self.errors: tuple[str, ...] = ()
        self.ending: tuple[str, ...] = ()
        self.in_control = False
        self.success_rate = 1.0
        self.is_stiff = True  # the arm is where it was sent
        self.is_frozen = False
        self.link_is_down = False
        self.fed_forward: list[float] = []
        self.pushed: list[Vector] = []
        self.calls: list[str] = []
        self._ticks = 0

    def read(self) -> FciState:
        if self.link_is_down:
            raise DeviceFault("the arm does not answer")
        self._ticks += not self.is_frozen
        return FciState(
            robot_time=0.001 * self._ticks,
            joint_position=read_only(self.joints),
            joint_velocity=read_only(self.velocity),
            flange_pose=flange_pose(self.joints),
            external_wrench=read_only(np.zeros(6)),
            errors=self.errors,
            in_control=self.in_control,
            success_rate=self.success_rate,
        )

    def how_it_ended(self) -> tuple[str, ...]:
        return self.ending

    def begin(self, joint_position: Vector) -> None:
        self.calls.append("begin")
        self.in_control = True

    def pull(self, joint_position: Vector, joint_velocity: Vector) -> None:
        self.fed_forward.append(float(np.abs(joint_velocity).max()))
        if self.is_stiff:
            self.joints = np.array(joint_position)

    def push(self, twist: Vector) -> None:
        self.pushed.append(twist)

    def halt(self) -> None:
        self.calls.append("halt")
        self.in_control = False

    def recover(self) -> None:
        self.calls.append("recover")
        self.errors = ()

    def close(self) -> None:
        self.calls.append("close")


def rig_with(**changes: float) -> Rig:
    rig = load_rig(find_rig("franka_simulated"))
    assert rig.franka is not None
    return dataclasses.replace(rig, franka=dataclasses.replace(rig.franka, **changes))


Opened = tuple[FrankaArm, ObedientInterface]


@pytest.fixture
def opened() -> Iterator[Opened]:
    interface = ObedientInterface()
    arm = FrankaArm(rig_with(), lambda: interface, when_closed=lambda: None)
    yield arm, interface
    arm.close()


def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def sweep(arm: FrankaArm, steps: int) -> Pose:
    target = arm.read().commanded_flange_pose
    for _ in range(steps):
        target = Pose(position=target.position + np.array([0.0, 0.001, 0.0]), quaternion=target.quaternion)
        arm.track(target, None)
        time.sleep(0.01)
    return target


def test_the_judged_posture_goes_along(opened: Opened) -> None:
    arm, interface = opened
    posture = HOME + np.array([0.05, 0, 0, 0, 0, 0, 0.0])
    for _ in range(30):
        arm.track(flange_pose(posture), posture)
        time.sleep(0.01)
    assert np.abs(interface.joints - posture).max() < 1e-6


def test_nothing_is_fed_forward_without_targets_and_then_control_is_given_back(opened: Opened) -> None:
    arm, interface = opened
    sweep(arm, 20)
    assert max(interface.fed_forward) > 0.01
    time.sleep(TARGET_LIFETIME + 0.1)
    assert interface.fed_forward[-1] == 0.0
    assert interface.in_control
    until(lambda: "halt" in interface.calls, CONTROL_LIFETIME + 5.0)
    assert arm.read().fault is None
    sweep(arm, 5)
    until(lambda: interface.calls.count("begin") == 2)


def test_velocity_commands_end_with_the_targets() -> None:
    interface = ObedientInterface("velocity")
    interface.is_stiff = False
    arm = FrankaArm(rig_with(), lambda: interface, when_closed=lambda: None)
    target = sweep(arm, 20)
    assert max(float(np.abs(twist).max()) for twist in interface.pushed) > 0.01
    interface.joints = read_only(arm._link.posture())  # it has arrived
    assert distance_between(flange_pose(interface.joints), target) < 1e-6
    time.sleep(TARGET_LIFETIME + 0.1)
    assert np.abs(interface.pushed[-1]).max() < 1e-3
    arm.close()


def test_a_target_that_leaps_is_approached_at_a_bounded_speed(opened: Opened) -> None:
    arm, interface = opened
    posture = HOME + np.array([0.6, 0, 0, 0, 0, 0, 0.0])
    began = time.monotonic()
    arm.track(flange_pose(posture), posture)
    limit = 0.8 * 2.62  # [rad/s]
    until(lambda: interface.joints[0] > 0.05)
    assert interface.joints[0] <= limit * (time.monotonic() - began) + 0.01
    assert max(interface.fed_forward) <= limit + 1e-9


def test_a_target_that_is_not_renewed_is_given_up_half_way(opened: Opened) -> None:
    arm, interface = opened
    posture = HOME + np.array([0.6, 0, 0, 0, 0, 0, 0.0])
    arm.track(flange_pose(posture), posture)
    until(lambda: interface.joints[0] > 0.01)
    time.sleep(0.6)
    stands = float(interface.joints[0])
    assert stands < 0.5, "it takes 0.3 s to get there, and a target is good for 0.1 s"
    time.sleep(0.2)
    assert interface.joints[0] == stands


def test_stop_latches_and_recovering_from_it_costs_no_recovery(opened: Opened) -> None:
    arm, interface = opened
    target = sweep(arm, 5)
    arm.stop()
    assert arm.read().fault == STOPPED
    assert "halt" in interface.calls
    with pytest.raises(DeviceFault, match=STOPPED):
        arm.track(target, None)
    for _ in range(5):
        arm.stop()
        arm.recover()
    assert arm.read().fault is None
    assert "recover" not in interface.calls


def test_errors_are_named_and_only_recover_ends_them(opened: Opened) -> None:
    arm, interface = opened
    target = sweep(arm, 5)
    interface.errors, interface.in_control = ("cartesian_reflex",), False
    until(lambda: arm.read().fault is not None)
    assert "cartesian_reflex" in str(arm.read().fault)
    interface.errors = ()  # the arm forgets; the driver does not
    time.sleep(0.1)
    assert "cartesian_reflex" in str(arm.read().fault)
    assert "recover" not in interface.calls
    arm.recover()
    assert arm.read().fault is None
    arm.track(target, None)


def test_a_motion_that_ends_by_itself_is_a_fault(opened: Opened) -> None:
    arm, interface = opened
    sweep(arm, 5)
    interface.ending, interface.in_control = ("communication_constraints_violation",), False
    until(lambda: arm.read().fault is not None)
    assert "communication_constraints_violation" in str(arm.read().fault)


def test_recoveries_run_out() -> None:
    interface = ObedientInterface()
    arm = FrankaArm(rig_with(recoveries=2), lambda: interface, when_closed=lambda: None)
    for _ in range(2):
        interface.errors = ("joint_reflex",)
        until(lambda: arm.read().fault is not None)
        arm.recover()
    interface.errors = ("joint_reflex",)
    until(lambda: arm.read().fault is not None)
    with pytest.raises(DeviceFault, match="the rig allows 2 recoveries"):
        arm.recover()
    assert interface.calls.count("recover") == 2
    arm.close()


@pytest.mark.parametrize("mode", ["user_stopped", "guiding", "not_ready"])
def test_what_only_a_person_can_end_is_not_recovered_by_software(opened: Opened, mode: str) -> None:
    arm, interface = opened
    interface.errors = (mode,)
    until(lambda: arm.read().fault is not None)
    with pytest.raises(DeviceFault, match=mode):
        arm.recover()
    assert "recover" not in interface.calls


def test_an_arm_that_moves_is_not_recovered(opened: Opened) -> None:
    arm, interface = opened
    arm.stop()
    interface.velocity = np.full(7, 0.1)
    with pytest.raises(DeviceFault, match="come to rest"):
        arm.recover()
    assert arm.read().fault == STOPPED


def test_measured_motion_outside_the_limits_stops_the_arm(opened: Opened) -> None:
    arm, interface = opened
    sweep(arm, 5)
    interface.velocity = np.array([1.5, 0, 0, 0, 0, 0, 0.0])  # 0.5 m/s at the flange
    with pytest.raises(DeviceFault, match="measured_motion"):
        sweep(arm, 50)
    assert "accepted is 0.38 in profile reduced" in str(arm.read().fault)
    assert not interface.in_control


def test_an_arm_that_does_not_follow_is_stopped(opened: Opened) -> None:
    arm, interface = opened
    interface.is_stiff = False
    with pytest.raises(DeviceFault, match="arm_does_not_follow"):
        sweep(arm, 300)
    assert not interface.in_control


def test_too_many_lost_packets_stop_the_arm(opened: Opened) -> None:
    arm, interface = opened
    interface.success_rate = 0.6
    with pytest.raises(DeviceFault, match="success_rate; 60% of the control packets"):
        sweep(arm, 300)
    assert not interface.in_control


def test_a_state_that_stands_still_grows_old(opened: Opened) -> None:
    arm, interface = opened
    interface.is_frozen = True
    time.sleep(0.3)
    assert time.monotonic() - arm.read().measured_at > 0.2


def test_a_lost_line_is_told_until_clear_connects_anew() -> None:
    interfaces = [ObedientInterface(), ObedientInterface()]
    waiting = iter(interfaces)
    arm = FrankaArm(rig_with(), lambda: next(waiting), when_closed=lambda: None)
    interfaces[0].link_is_down = True
    with pytest.raises(DeviceFault, match="CLEAR connects anew"):  # noqa: PT012 - it takes a moment
        for _ in range(500):
            arm.read()
            time.sleep(0.01)
    with pytest.raises(DeviceFault, match="CLEAR connects anew"):
        arm.track(flange_pose(HOME), None)
    arm.recover()
    assert arm.read().fault is None
    assert interfaces[0].calls[-1] == "close"
    arm.close()


def test_a_recovery_that_came_too_late_clears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_bridge.franka.link.RECOVERY_SECONDS", 0.2)
    interfaces = [ObedientInterface(), ObedientInterface()]
    waiting = iter(interfaces)

    def connect() -> ObedientInterface:
        interface = next(waiting)
        if interface is interfaces[1]:
            time.sleep(0.6)
        return interface

    arm = FrankaArm(rig_with(), connect, when_closed=lambda: None)
    interfaces[0].link_is_down = True
    with pytest.raises(DeviceFault, match="CLEAR connects anew"):  # noqa: PT012 - it takes a moment
        for _ in range(500):
            arm.read()
            time.sleep(0.01)
    with pytest.raises(DeviceFault, match="did not answer in time; clear again"):
        arm.recover()
    time.sleep(1.0)
    assert arm.read().fault is not None, "connected, and still a fault"
    arm.recover()
    assert arm.read().fault is None
    arm.close()


def test_the_arm_is_stopped_when_the_link_itself_fails(opened: Opened) -> None:
    arm, interface = opened
    sweep(arm, 5)

    def break_down(joint_position: Vector, joint_velocity: Vector) -> None:
        raise ZeroDivisionError

    errors: list[str] = []
    hook, threading.excepthook = threading.excepthook, lambda told: errors.append(str(told.exc_type))
    try:
        interface.pull = break_down  # type: ignore[method-assign]
        until(lambda: not interface.in_control)
        until(lambda: bool(errors))
    finally:
        threading.excepthook = hook
    with pytest.raises(DeviceFault, match="restart the bridge"):
        arm.read()
    with pytest.raises(DeviceFault, match="restart the bridge"):
        arm.recover()


def test_an_arm_moved_by_hand_is_commanded_to_stay_where_it_was_put(opened: Opened) -> None:
    arm, interface = opened
    interface.joints = HOME + 0.1
    until(lambda: distance_between(arm.read().commanded_flange_pose, flange_pose(HOME + 0.1)) < 1e-9)


def test_a_flange_that_is_not_where_the_joints_put_it_is_refused() -> None:
    class Longer(ObedientInterface):
        def read(self) -> FciState:
            state = super().read()
            further = Pose(
                position=state.flange_pose.position + np.array([0, 0, 0.107]),
                quaternion=state.flange_pose.quaternion,
            )
            return dataclasses.replace(state, flange_pose=further)

    with pytest.raises(DeviceFault, match="107 mm from where its joints put it"):
        FrankaArm(rig_with(), Longer, when_closed=lambda: None)


def test_out_of_reach_and_nonsense_are_refused(opened: Opened) -> None:
    arm, _ = opened
    pose = arm.read().flange_pose
    far = Pose(position=[2.0, 0.0, 0.5], quaternion=pose.quaternion)
    with pytest.raises(DeviceFault, match="does not reach"):
        arm.track(far, None)
    with pytest.raises(DeviceFault, match="finite"):
        arm.track(pose, np.full(7, np.nan))
    assert arm.read().commanded_flange_pose == pose
