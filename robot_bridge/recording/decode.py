"""From a trial's messages back to the values that the bridge had, bit for bit."""

from dataclasses import dataclass

import numpy as np

from robot_bridge.devices import ArmState, GripperState
from robot_bridge.recording import record_pb2 as pb
from robot_bridge.recording.plain import from_json
from robot_bridge.safety import Memory, Reason, RobotState, SafetyLimits, Target, Verdict
from robot_contract import wire
from robot_contract import wire_pb2 as wire_pb
from robot_contract.pose import Pose, Vector, read_only


@dataclass(frozen=True, kw_only=True, eq=False)
class Tick:
    """A recorded tick; `memory` is present where the file holds it whole."""

    tick: int
    at: float  # [s], bridge clock
    lateness: float  # [s]
    missed_ticks: int
    mode: str
    why: str
    state: RobotState
    gripper: GripperState
    proposed: Target | None
    stopping: bool
    sent: Target
    was_tracked: bool
    verdict: Verdict
    gripper_opening: float
    chunk_sequence: int
    chunk_step: int
    chunk_age: float  # [s]
    camera_ages: dict[str, float]  # [s]
    held: bool
    hold_age: float  # [s]
    memory: Memory | None
    memory_is_new: bool  # not the one that the tick before left


def _vector(values: object) -> Vector:
    return read_only(np.array(values, dtype=np.float64))


def _pose(message: wire_pb.Pose) -> Pose:
    # Not validated: a recording also holds what was wrong.
    return Pose(position=_vector(message.position), quaternion=_vector(message.quaternion))


def _target(message: pb.Target) -> Target:
    posture = _vector(message.joint_posture) if message.joint_posture else None
    return Target(flange_pose=_pose(message.flange_pose), joint_posture=posture)


def tick_from(message: pb.Tick) -> Tick:
    arm, gripper = message.arm, message.gripper
    memory = None
    if message.HasField("memory_json"):
        memory = from_json(Memory, message.memory_json, "memory")
    return Tick(
        tick=message.tick,
        at=message.at,
        lateness=message.lateness,
        missed_ticks=message.missed_ticks,
        mode=message.mode,
        why=message.why,
        state=RobotState(
            arm=ArmState(
                measured_at=arm.measured_at,
                joint_position=_vector(arm.joint_position),
                joint_velocity=_vector(arm.joint_velocity),
                flange_pose=_pose(arm.flange_pose),
                commanded_flange_pose=_pose(arm.commanded_flange_pose),
                external_wrench=_vector(arm.external_wrench),
                fault=arm.fault if arm.HasField("fault") else None,
            ),
            flange_from_tcp=_pose(message.flange_from_tcp),
        ),
        gripper=GripperState(
            measured_at=gripper.measured_at,
            width=gripper.width,
            is_moving=gripper.is_moving,
            is_grasping=gripper.is_grasping,
            fault=gripper.fault if gripper.HasField("fault") else None,
        ),
        proposed=_target(message.proposed) if message.HasField("proposed") else None,
        stopping=message.stopping,
        sent=_target(message.sent),
        was_tracked=message.was_tracked,
        verdict=Verdict(
            kind=wire.verdict_from_wire(wire_pb.Verdict(kind=message.verdict)).kind,
            reasons=tuple(Reason(code=reason.code, sentence=reason.sentence) for reason in message.reasons),
        ),
        gripper_opening=message.gripper_opening,
        chunk_sequence=message.chunk_sequence,
        chunk_step=message.chunk_step,
        chunk_age=message.chunk_age,
        camera_ages=dict(message.camera_ages),
        held=message.held,
        hold_age=message.hold_age,
        memory=memory,
        memory_is_new=message.memory_is_new,
    )


def limits_from(text: str) -> SafetyLimits:
    """The safety limits that a trial was judged with."""
    return from_json(SafetyLimits, text, "limits")
