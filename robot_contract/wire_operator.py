"""Operator side of the wire: trials, operator events, hold-to-run, bridge status, pictures, export."""

import re
from typing import get_args

from robot_contract import messages as m
from robot_contract import wire_checks as check
from robot_contract import wire_pb2 as pb
from robot_contract.errors import WireError
from robot_contract.wire_policy import MAX_CAMERAS, camera_image_from_wire, camera_image_to_wire

MAX_TIME_LIMIT = 24 * 3600.0  # [s]
MAX_SCENE_TEXT = 100_000  # characters of a scene document

_TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_ACTIONS = check.enum_names(pb.OperatorAction, "OPERATOR_ACTION", get_args(m.OperatorAction))
_MODES = check.enum_names(pb.Mode, "MODE", get_args(m.Mode))
_VERDICTS = check.enum_names(pb.VerdictKind, "VERDICT_KIND", get_args(m.VerdictKind))
_FORMATS = check.enum_names(pb.ExportFormat, "EXPORT_FORMAT", ("lerobot", "rlds"))


def trial_setup_to_wire(setup: m.TrialSetup) -> pb.TrialSetup:
    return pb.TrialSetup(
        trial_id=setup.trial_id,
        policy=setup.policy,
        instruction=setup.instruction,
        start_pose=setup.start_pose,
        time_limit=setup.time_limit,
        record=setup.record,
        scene=None
        if setup.scene is None
        else pb.SceneSetup(split=setup.scene.split, seed=setup.scene.seed, document=setup.scene.document),
    )


def trial_id(value: str, field: str = "trial_id") -> str:
    """A name that is safe as a file name."""
    if not _TRIAL_ID.fullmatch(value):
        raise WireError(
            f"{field} is {value[:110]!r}, expected 1 to 100 letters, digits, '.', '_' or '-', the first of"
            " them a letter or digit"
        )
    return value


def trial_setup_from_wire(message: pb.TrialSetup) -> m.TrialSetup:
    scene = None
    if message.HasField("scene"):
        scene = m.SceneSetup(
            split=check.text(message.scene.split, "scene.split", longest=200),
            seed=message.scene.seed,
            document=check.text(message.scene.document, "scene.document", longest=MAX_SCENE_TEXT),
        )
        if bool(scene.split) == bool(scene.document):
            raise WireError("scene needs either a split with a seed, or a document, not both and not neither")
    return m.TrialSetup(
        trial_id=trial_id(message.trial_id),
        policy=check.text(message.policy, "policy", required=True, longest=200),
        instruction=check.text(message.instruction, "instruction", longest=1000),
        start_pose=check.text(message.start_pose, "start_pose", required=True, longest=200),
        time_limit=check.number(message.time_limit, "time_limit", 0.1, MAX_TIME_LIMIT),
        record=message.record,
        scene=scene,
    )


def operator_event_to_wire(event: m.OperatorEvent) -> pb.OperatorEvent:
    return pb.OperatorEvent(
        action=check.enum_number(event.action, _ACTIONS),  # pyright: ignore[reportArgumentType]
        operator=event.operator,
        note=event.note,
    )


def operator_event_from_wire(message: pb.OperatorEvent) -> m.OperatorEvent:
    return m.OperatorEvent(
        action=check.name_from_enum(message.action, "action", _ACTIONS),
        operator=check.text(message.operator, "operator", longest=200),
        note=check.text(message.note, "note"),
    )


def heartbeat_to_wire(heartbeat: m.Heartbeat) -> pb.Heartbeat:
    return pb.Heartbeat(nonce=heartbeat.nonce, press=heartbeat.press, held=heartbeat.held)


def heartbeat_from_wire(message: pb.Heartbeat) -> m.Heartbeat:
    if message.held and message.press == 0:
        raise WireError("press is 0 while held, expected the number of the press, from 1")
    return m.Heartbeat(nonce=message.nonce, press=message.press, held=message.held)


def hold_state_to_wire(state: m.HoldState) -> pb.HoldState:
    return pb.HoldState(nonce=state.nonce, held=state.held, age=state.age, press=state.press)


def hold_state_from_wire(message: pb.HoldState) -> m.HoldState:
    return m.HoldState(
        nonce=message.nonce, held=message.held, age=check.age(message.age, "age"), press=message.press
    )


def joint_goal_to_wire(goal: m.JointGoal) -> pb.JointGoal:
    return pb.JointGoal(name=goal.name, joint_position=goal.joint_position)


def joint_goal_from_wire(message: pb.JointGoal) -> m.JointGoal:
    name = check.text(message.name, "name", longest=200)
    if bool(name) == bool(message.joint_position):
        raise WireError("joint goal needs either a name or 7 joint_position, not both and not neither")
    if name:
        return m.JointGoal(name=name)
    joints = check.vector(message.joint_position, "joint_position", 7)
    return m.JointGoal(joint_position=tuple(joints.tolist()))


def verdict_to_wire(verdict: m.Verdict) -> pb.Verdict:
    return pb.Verdict(
        kind=check.enum_number(verdict.kind, _VERDICTS),  # pyright: ignore[reportArgumentType]
        reasons=verdict.reasons,
    )


def verdict_from_wire(message: pb.Verdict) -> m.Verdict:
    return m.Verdict(
        kind=check.name_from_enum(message.kind, "verdict.kind", _VERDICTS),
        reasons=tuple(check.text(reason, "verdict.reasons") for reason in message.reasons[:100]),
    )


def bridge_status_to_wire(status: m.BridgeStatus) -> pb.BridgeStatus:
    recording = status.recording
    message = pb.BridgeStatus(
        at=status.at,
        rig=status.rig,
        driver=status.driver,
        mode=check.enum_number(status.mode, _MODES),  # pyright: ignore[reportArgumentType]
        why=status.why,
        problems=status.problems,
        needs=status.needs,
        policy=status.policy,
        policy_digest=status.policy_digest,
        trial_id=status.trial_id,
        instruction=status.instruction,
        elapsed=status.elapsed,
        time_limit=status.time_limit,
        verdict=verdict_to_wire(status.verdict),
        verdict_counts=dict(status.verdict_counts),
        tcp_pose=check.pose_to_wire(status.tcp_pose),
        joint_position=status.joint_position.tolist(),
        tcp_speed=status.tcp_speed,
        gripper_width=status.gripper_width,
        arm_age=status.arm_age,
        server=status.server,
        server_state=status.server_state,
        chunk_age=status.chunk_age,
        round_trip_p50=status.round_trip_p50,
        round_trip_p99=status.round_trip_p99,
        hold_required=status.hold_required,
        held=status.held,
        hold_age=status.hold_age,
        lease_holder=status.lease_holder,
        ticks=status.ticks,
        missed_ticks=status.missed_ticks,
        late_chunks=status.late_chunks,
        recording=pb.RecordingStatus(
            active=recording.active,
            path=recording.path,
            dropped=recording.dropped,
            free_bytes=recording.free_bytes,
            problem=recording.problem,
        ),
    )
    for camera in status.cameras:
        message.cameras.add(name=camera.name, age=camera.age, age_limit=camera.age_limit, rate=camera.rate)
    if status.truth is not None:
        message.truth.CopyFrom(
            pb.TruthStatus(
                instruction=status.truth.instruction,
                stage=status.truth.stage,
                success=status.truth.success,
            )
        )
    return message


def bridge_status_from_wire(message: pb.BridgeStatus) -> m.BridgeStatus:
    text, number, age = check.text, check.number, check.age
    truth = None
    if message.HasField("truth"):
        truth = m.TruthStatus(
            instruction=text(message.truth.instruction, "truth.instruction"),
            stage=text(message.truth.stage, "truth.stage"),
            success=message.truth.success,
        )
    recording = message.recording
    return m.BridgeStatus(
        at=number(message.at, "at"),
        rig=text(message.rig, "rig"),
        driver=text(message.driver, "driver"),
        mode=check.name_from_enum(message.mode, "mode", _MODES),
        why=text(message.why, "why"),
        problems=tuple(text(problem, "problems") for problem in message.problems[:1000]),
        needs=text(message.needs, "needs"),
        policy=text(message.policy, "policy"),
        policy_digest=text(message.policy_digest, "policy_digest"),
        trial_id=text(message.trial_id, "trial_id"),
        instruction=text(message.instruction, "instruction"),
        elapsed=number(message.elapsed, "elapsed", 0.0),
        time_limit=number(message.time_limit, "time_limit", 0.0),
        verdict=verdict_from_wire(message.verdict),
        verdict_counts=check.counters(message.verdict_counts, "verdict_counts"),
        tcp_pose=check.pose_from_wire(message.tcp_pose, "tcp_pose"),
        joint_position=check.vector(message.joint_position, "joint_position", 7),
        tcp_speed=number(message.tcp_speed, "tcp_speed", 0.0),
        gripper_width=number(message.gripper_width, "gripper_width", 0.0),
        arm_age=age(message.arm_age, "arm_age"),
        cameras=tuple(
            m.CameraStatus(
                name=text(camera.name, "cameras.name", required=True),
                age=age(camera.age, "cameras.age"),
                age_limit=age(camera.age_limit, "cameras.age_limit"),
                rate=number(camera.rate, "cameras.rate", 0.0),
            )
            for camera in message.cameras[:MAX_CAMERAS]
        ),
        server=text(message.server, "server"),
        server_state=text(message.server_state, "server_state"),
        chunk_age=age(message.chunk_age, "chunk_age"),
        round_trip_p50=age(message.round_trip_p50, "round_trip_p50"),
        round_trip_p99=age(message.round_trip_p99, "round_trip_p99"),
        hold_required=message.hold_required,
        held=message.held,
        hold_age=age(message.hold_age, "hold_age"),
        lease_holder=text(message.lease_holder, "lease_holder"),
        ticks=message.ticks,
        missed_ticks=message.missed_ticks,
        late_chunks=message.late_chunks,
        recording=m.RecordingStatus(
            active=recording.active,
            path=text(recording.path, "recording.path"),
            dropped=recording.dropped,
            free_bytes=recording.free_bytes,
            problem=text(recording.problem, "recording.problem"),
        ),
        truth=truth,
    )


def camera_frame_to_wire(frame: m.CameraFrame) -> pb.CameraFrame:
    return pb.CameraFrame(camera=frame.camera, image=camera_image_to_wire(frame.image), age=frame.age)


def camera_frame_from_wire(message: pb.CameraFrame) -> m.CameraFrame:
    return m.CameraFrame(
        camera=check.text(message.camera, "camera", required=True, longest=200),
        image=camera_image_from_wire(message.image),
        age=check.age(message.age, "age"),
    )


def export_request_to_wire(request: m.ExportRequest) -> pb.ExportRequest:
    return pb.ExportRequest(
        trial_ids=request.trial_ids,
        format=check.enum_number(request.format, _FORMATS),  # pyright: ignore[reportArgumentType]
        destination=request.destination,
    )


def export_request_from_wire(message: pb.ExportRequest) -> m.ExportRequest:
    return m.ExportRequest(
        trial_ids=tuple(trial_id(value, "trial_ids") for value in message.trial_ids),
        format=check.name_from_enum(message.format, "format", _FORMATS),  # pyright: ignore[reportArgumentType]
        destination=trial_id(message.destination, "destination"),
    )


def progress_to_wire(progress: m.Progress) -> pb.Progress:
    return pb.Progress(done=progress.done, total=progress.total, sentence=progress.sentence)


def progress_from_wire(message: pb.Progress) -> m.Progress:
    return m.Progress(
        done=message.done, total=message.total, sentence=check.text(message.sentence, "sentence")
    )
