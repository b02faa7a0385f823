"""Records as the protobuf messages of a trial's file: topic, message, instant."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

import simplejpeg
from google.protobuf.message import Message
from PIL import Image

from robot_bridge import records as r
from robot_bridge.devices import ArmState, DepthPicture, GripperState
from robot_bridge.recording import foxglove_pb2 as fg
from robot_bridge.recording import record_pb2 as pb
from robot_bridge.recording.plain import to_json
from robot_bridge.safety import Target, Verdict
from robot_contract import wire
from robot_contract.messages import Verdict as WireVerdict
from robot_contract.wire import pose_to_wire

JPEG_QUALITY = 90


@dataclass(frozen=True, kw_only=True)
class Entry:
    topic: str
    at: float  # [s], bridge clock
    message: Message


def begin_entry(record: r.TrialBegins) -> Entry:
    return Entry(
        topic="/trial/begin",
        at=record.at,
        message=pb.TrialBegins(
            at=record.at,
            wall_time=record.wall_time,
            setup=wire.trial_setup_to_wire(record.setup),
            instruction=record.instruction,
            contract=wire.policy_contract_to_wire(record.contract),
            rig=record.rig,
            rig_digest=record.rig_digest,
            limits_json=to_json(record.limits),
            limits_digest=record.limits_digest,
            calibration_digests=dict(record.calibration_digests),
            scene=record.scene,
            software=version("robot_bridge"),
        ),
    )


def end_entry(record: r.TrialEnds, dropped: int) -> Entry:
    message = pb.TrialEnds(
        at=record.at,
        why=record.why,
        verdict_counts={str(kind): count for kind, count in record.verdict_counts.items()},
        dropped=dropped,
        success=record.success,
        stage=record.stage,
    )
    return Entry(topic="/trial/end", at=record.at, message=message)


def tick_entry(record: r.TickRecord, *, with_memory: bool, memory_is_new: bool) -> Entry:
    verdict: Verdict = record.verdict
    message = pb.Tick(
        tick=record.tick,
        at=record.at,
        lateness=record.lateness,
        missed_ticks=record.missed_ticks,
        mode=record.mode,
        why=record.why,
        arm=_arm(record.state.arm),
        flange_from_tcp=pose_to_wire(record.state.flange_from_tcp),
        gripper=_gripper(record.gripper),
        stopping=record.stopping,
        sent=_target(record.sent),
        was_tracked=record.was_tracked,
        verdict=wire.verdict_to_wire(WireVerdict(kind=verdict.kind)).kind,
        reasons=[pb.Reason(code=reason.code, sentence=reason.sentence) for reason in verdict.reasons],
        gripper_opening=record.gripper_opening,
        session=record.session,
        chunk_sequence=record.chunk_sequence,
        chunk_step=record.chunk_step,
        chunk_age=record.chunk_age,
        camera_ages=dict(record.camera_ages),
        held=record.held,
        hold_age=record.hold_age,
        memory_is_new=memory_is_new,
    )
    if record.proposed is not None:
        message.proposed.CopyFrom(_target(record.proposed))
    if with_memory:
        message.memory_json = to_json(record.memory_before)
    return Entry(topic="/tick", at=record.at, message=message)


def _target(target: Target) -> pb.Target:
    posture = [] if target.joint_posture is None else target.joint_posture.tolist()
    return pb.Target(flange_pose=pose_to_wire(target.flange_pose), joint_posture=posture)


def _arm(arm: ArmState) -> pb.ArmState:
    return pb.ArmState(
        measured_at=arm.measured_at,
        joint_position=arm.joint_position.tolist(),
        joint_velocity=arm.joint_velocity.tolist(),
        flange_pose=pose_to_wire(arm.flange_pose),
        commanded_flange_pose=pose_to_wire(arm.commanded_flange_pose),
        external_wrench=arm.external_wrench.tolist(),
        fault=arm.fault,
    )


def _gripper(gripper: GripperState) -> pb.GripperState:
    return pb.GripperState(
        measured_at=gripper.measured_at,
        width=gripper.width,
        is_moving=gripper.is_moving,
        is_grasping=gripper.is_grasping,
        fault=gripper.fault,
    )


def event_entry(record: r.EventRecord) -> Entry:
    return Entry(
        topic="/event",
        at=record.at,
        message=pb.Event(
            at=record.at,
            event=wire.operator_event_to_wire(record.event),
            refusal=record.refusal,
            mode_before=record.mode_before,
            mode_after=record.mode_after,
        ),
    )


def chunk_entries(record: r.ChunkRecord) -> Iterator[Entry]:
    """The question with its answer, and each of its pictures on its own."""
    message = pb.Chunk(
        at=record.at, observation=wire.observation_to_wire(record.observation), refusal=record.refusal
    )
    if record.chunk is not None:
        message.chunk.CopyFrom(wire.action_chunk_to_wire(record.chunk))
    for image in message.observation.images.values():
        image.ClearField("jpeg")
    yield Entry(topic="/chunk", at=record.at, message=message)
    for name, image in record.observation.images.items():
        picture = fg.CompressedImage(frame_id=f"{name}_optical_frame", data=image.jpeg, format="jpeg")
        yield Entry(topic=f"/policy_view/{name}", at=image.exposed_at, message=picture)


def frame_entries(record: r.FrameRecord) -> Iterator[Entry]:
    """The picture, and its depth where the camera measured it."""
    yield frame_entry(record)
    if record.frame.depth_mm is not None:
        picture = fg.CompressedImage(
            frame_id=f"{record.camera}_optical_frame", data=depth_png(record.frame.depth_mm), format="png"
        )
        yield Entry(topic=f"/depth/{record.camera}", at=record.frame.exposed_at, message=picture)


def depth_png(depth_mm: DepthPicture) -> bytes:
    """A 16-bit grey PNG [mm], nothing lost."""
    buffer = io.BytesIO()
    Image.fromarray(depth_mm).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def frame_entry(record: r.FrameRecord) -> Entry:
    jpeg = simplejpeg.encode_jpeg(record.frame.picture, quality=JPEG_QUALITY, colorsubsampling="420")
    picture = fg.CompressedImage(frame_id=f"{record.camera}_optical_frame", data=jpeg, format="jpeg")
    return Entry(topic=f"/camera/{record.camera}", at=record.frame.exposed_at, message=picture)
