"""From the loop's snapshot to the status that the operator sees."""

from dataclasses import dataclass

import numpy as np

from robot_bridge.asking import PolicyAnswers
from robot_bridge.devices import ArmState
from robot_bridge.kinematics import jacobian
from robot_bridge.loop import Snapshot
from robot_bridge.rig import CameraRig, Rig
from robot_bridge.watchdogs import FrameTrace
from robot_contract.messages import (
    BridgeStatus,
    CameraStatus,
    RecordingStatus,
    TruthStatus,
    Verdict,
)
from robot_contract.pose import Vector, quaternion_rotate


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What the status says besides the loop's own snapshot."""

    problems: tuple[str, ...]
    answers: PolicyAnswers
    recording: RecordingStatus
    lease_holder: str
    hold_age: float  # [s]
    truth: TruthStatus | None


def bridge_status(rig: Rig, snapshot: Snapshot, around: Surroundings, now: float) -> BridgeStatus:
    sensed, trial = snapshot.sensed, snapshot.trial
    modes, ages = snapshot.modes, around.answers.ages
    return BridgeStatus(
        at=now,
        rig=rig.name,
        driver=rig.arm.driver,
        mode=modes.mode,
        why=modes.why,
        problems=around.problems,
        needs=modes.state.needs,
        policy=trial.contract.name if trial is not None else "",
        policy_digest=trial.contract.policy_digest if trial is not None else "",
        trial_id=trial.setup.trial_id if trial is not None else "",
        instruction=trial.instruction if trial is not None else "",
        elapsed=trial.elapsed if trial is not None else 0.0,
        time_limit=trial.setup.time_limit if trial is not None else 0.0,
        verdict=Verdict(
            kind=snapshot.verdict.kind,
            reasons=(
                (snapshot.missing,)
                if snapshot.missing
                else tuple(str(reason) for reason in snapshot.verdict.reasons)
            ),
        ),
        verdict_counts=dict(trial.verdict_counts.items()) if trial is not None else {},
        tcp_pose=sensed.arm.flange_pose @ rig.flange_from_tcp,
        joint_position=sensed.arm.joint_position,
        tcp_speed=tcp_speed(sensed.arm, rig.flange_from_tcp.position),
        gripper_width=sensed.gripper.width,
        arm_age=max(0.0, now - sensed.arm.measured_at),
        cameras=tuple(
            _camera_status(rig, camera, sensed.traces.get(camera.name), now) for camera in rig.cameras
        ),
        server=rig.policy_server.address,
        server_state=around.answers.state,
        chunk_age=max(0.0, snapshot.chunk_age),  # negative while targets are still to come
        round_trip_p50=ages.quantile(0.5),
        round_trip_p99=ages.quantile(0.99),
        hold_required=rig.hold_to_run,
        held=snapshot.held,
        hold_age=around.hold_age,
        lease_holder=around.lease_holder,
        ticks=snapshot.ticks,
        missed_ticks=snapshot.missed_ticks,
        late_chunks=trial.late_chunks if trial is not None else 0,
        recording=around.recording,
        truth=around.truth,
    )


def tcp_twist(arm: ArmState, flange_from_tcp: Vector) -> Vector:
    """(6,) [m/s, rad/s] measured, base frame, at the tool centre point."""
    twist = jacobian(arm.joint_position) @ arm.joint_velocity
    lever = quaternion_rotate(arm.flange_pose.quaternion, flange_from_tcp)
    return np.concatenate([twist[:3] + np.cross(twist[3:], lever), twist[3:]])


def tcp_speed(arm: ArmState, flange_from_tcp: Vector) -> float:
    """[m/s] measured."""
    velocity = tcp_twist(arm, flange_from_tcp)[:3]
    speed = float(np.sqrt(velocity @ velocity))
    return speed if np.isfinite(speed) else 0.0  # such a state is a fault, and the status says so


def _camera_status(rig: Rig, camera: CameraRig, trace: FrameTrace | None, now: float) -> CameraStatus:
    return CameraStatus(
        name=camera.name,
        age=max(0.0, now - trace.exposed_at) if trace is not None else float(np.inf),
        age_limit=rig.camera_age_limit(camera),
        rate=1.0 / trace.period if trace is not None and trace.period > 0 else 0.0,
    )
