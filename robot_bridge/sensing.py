"""Reads every device once a tick; what does not answer is a fault in words, and the last state stays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_bridge.devices import Arm, ArmState, Camera, Frame, Gripper, GripperState
from robot_bridge.watchdogs import FrameTrace, trace_frame
from robot_contract.errors import DeviceFault


@dataclass(frozen=True, kw_only=True, eq=False)
class Sensed:
    at: float  # [s]
    arm: ArmState
    gripper: GripperState
    frames: Mapping[str, Frame]
    traces: Mapping[str, FrameTrace]
    device_fault: str = ""  # a device did not answer
    arm_fault: str = ""  # what the arm or the gripper itself has latched

    @property
    def fault(self) -> str:
        return self.device_fault or self.arm_fault

    def camera_ages(self) -> dict[str, float]:
        return {name: self.at - trace.exposed_at for name, trace in self.traces.items()}


@dataclass(kw_only=True, eq=False)
class Senses:
    """The devices, and the last that was heard of them."""

    arm: Arm
    gripper: Gripper
    cameras: Mapping[str, Camera]
    _arm_state: ArmState | None = None
    _gripper_state: GripperState | None = None
    _frames: dict[str, Frame] = field(default_factory=dict[str, Frame])
    _traces: dict[str, FrameTrace] = field(default_factory=dict[str, FrameTrace])

    def read(self, now: float, *, with_cameras: bool) -> Sensed:
        problem = ""
        try:
            self._arm_state = self.arm.read()
            self._gripper_state = self.gripper.read()
            if with_cameras:
                self._look()
        except DeviceFault as error:
            problem = str(error)
        arm, gripper = self._arm_state, self._gripper_state
        if arm is None or gripper is None:
            raise DeviceFault(f"the arm or the gripper has never answered: {problem}")
        if not (np.isfinite(arm.joint_position).all() and arm.flange_pose.is_finite()):
            problem = problem or "the arm reports a state that is not finite"
        return Sensed(
            at=now,
            arm=arm,
            gripper=gripper,
            frames=dict(self._frames),
            traces=dict(self._traces),
            device_fault=problem,
            arm_fault="; ".join(
                f"{what} reports {state.fault}"
                for what, state in (("the arm", arm), ("the gripper", gripper))
                if state.fault is not None
            ),
        )

    def _look(self) -> None:
        for name, camera in self.cameras.items():
            frame = camera.latest()
            if frame is not None:
                self._traces[name] = trace_frame(self._traces.get(name), frame)
                self._frames[name] = frame

    def forget_pictures(self) -> None:
        """After a scene was built anew, what was seen before does not count."""
        self._frames.clear()
        self._traces.clear()
