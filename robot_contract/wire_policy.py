"""Policy side of the wire: observations, chunks, refusals, server status."""

from typing import get_args

from robot_contract import messages as m
from robot_contract import wire_checks as check
from robot_contract import wire_pb2 as pb
from robot_contract.errors import WireError
from robot_contract.policy_contract import ACTION_WIDTH

MAX_CAMERAS = 8
MAX_SIDE = 4096  # [px]
MAX_JPEG_BYTES = 8 << 20
MAX_STEPS = 256

_REASONS = check.enum_names(pb.RefusalReason, "REFUSAL_REASON", get_args(m.RefusalReason))
_STATES = check.enum_names(
    pb.PolicyState, "POLICY_STATE", ("loading", "warming", "serving", "draining", "failed")
)


def camera_image_to_wire(image: m.CameraImage) -> pb.CameraImage:
    return pb.CameraImage(
        jpeg=image.jpeg, width=image.width, height=image.height, exposed_at=image.exposed_at
    )


def camera_image_from_wire(message: pb.CameraImage, field: str = "image") -> m.CameraImage:
    if not 0 < len(message.jpeg) <= MAX_JPEG_BYTES:
        raise WireError(f"{field}.jpeg has {len(message.jpeg)} bytes, expected 1 to {MAX_JPEG_BYTES}")
    if not message.jpeg.startswith(b"\xff\xd8"):
        raise WireError(f"{field}.jpeg does not begin like a JPEG picture")
    return m.CameraImage(
        jpeg=message.jpeg,
        width=check.count(message.width, f"{field}.width", 1, MAX_SIDE),
        height=check.count(message.height, f"{field}.height", 1, MAX_SIDE),
        exposed_at=check.number(message.exposed_at, f"{field}.exposed_at"),
    )


def observation_to_wire(observation: m.Observation) -> pb.Observation:
    return pb.Observation(
        policy=observation.policy,
        session=observation.session,
        sequence=observation.sequence,
        observed_at=observation.observed_at,
        images={name: camera_image_to_wire(image) for name, image in observation.images.items()},
        tcp_pose=check.pose_to_wire(observation.tcp_pose),
        joint_position=observation.joint_position.tolist(),
        gripper_width=observation.gripper_width,
        gripper_command=observation.gripper_command,
        instruction=observation.instruction,
        deadline=observation.deadline,
    )


def observation_from_wire(message: pb.Observation) -> m.Observation:
    if not 1 <= len(message.images) <= MAX_CAMERAS:
        raise WireError(f"images has {len(message.images)} pictures, expected 1 to {MAX_CAMERAS}")
    return m.Observation(
        policy=check.text(message.policy, "policy", required=True, longest=200),
        session=check.text(message.session, "session", required=True, longest=200),
        sequence=message.sequence,
        observed_at=check.number(message.observed_at, "observed_at"),
        images={
            check.text(name, "images key", required=True, longest=200): camera_image_from_wire(
                message.images[name], f"images[{name[:40]}]"
            )
            for name in sorted(message.images)
        },
        tcp_pose=check.pose_from_wire(message.tcp_pose, "tcp_pose"),
        joint_position=check.vector(message.joint_position, "joint_position", 7),
        gripper_width=check.number(message.gripper_width, "gripper_width", 0.0, 0.5),
        gripper_command=check.number(message.gripper_command, "gripper_command", 0.0, 1.0),
        instruction=check.text(message.instruction, "instruction", required=True, longest=1000),
        deadline=check.number(message.deadline, "deadline", 0.0, 3600.0),
    )


def action_chunk_to_wire(chunk: m.ActionChunk) -> pb.ActionChunk:
    return pb.ActionChunk(
        session=chunk.session,
        sequence=chunk.sequence,
        observed_at=chunk.observed_at,
        steps=len(chunk.actions),
        actions=chunk.actions.ravel().tolist(),
        interface_digest=chunk.interface_digest,
        policy_digest=chunk.policy_digest,
        timings=pb.Timings(
            queue=chunk.timings.queue,
            preprocess=chunk.timings.preprocess,
            model=chunk.timings.model,
            total=chunk.timings.total,
            batch_size=chunk.timings.batch_size,
        ),
    )


def action_chunk_from_wire(message: pb.ActionChunk) -> m.ActionChunk:
    steps = check.count(message.steps, "steps", 1, MAX_STEPS)
    actions = check.vector(message.actions, "actions", steps * ACTION_WIDTH).reshape(steps, ACTION_WIDTH)
    opening = actions[:, 6]
    if not ((opening >= 0.0) & (opening <= 1.0)).all():
        raise WireError(f"actions have gripper openings {opening.tolist()}, expected 0 to 1")
    timings = message.timings
    return m.ActionChunk(
        session=check.text(message.session, "session", required=True, longest=200),
        sequence=message.sequence,
        observed_at=check.number(message.observed_at, "observed_at"),
        actions=actions,
        interface_digest=digest_text(message.interface_digest, "interface_digest"),
        policy_digest=digest_text(message.policy_digest, "policy_digest"),
        timings=m.Timings(
            queue=check.number(timings.queue, "timings.queue", 0.0),
            preprocess=check.number(timings.preprocess, "timings.preprocess", 0.0),
            model=check.number(timings.model, "timings.model", 0.0),
            total=check.number(timings.total, "timings.total", 0.0),
            batch_size=timings.batch_size,
        ),
    )


def digest_text(value: str, field: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise WireError(f"{field} is {value[:70]!r}, expected a sha256 in 64 hexadecimal digits")
    return value


def refusal_to_wire(refusal: m.Refusal) -> pb.Refusal:
    return pb.Refusal(
        session=refusal.session,
        sequence=refusal.sequence,
        reason=check.enum_number(refusal.reason, _REASONS),  # pyright: ignore[reportArgumentType]
        sentence=refusal.sentence,
    )


def refusal_from_wire(message: pb.Refusal) -> m.Refusal:
    return m.Refusal(
        session=check.text(message.session, "session", longest=200),
        sequence=message.sequence,
        reason=check.name_from_enum(message.reason, "reason", _REASONS),
        sentence=check.text(message.sentence, "sentence"),
    )


def stream_reply_to_wire(reply: m.ActionChunk | m.Refusal) -> pb.StreamReply:
    if isinstance(reply, m.Refusal):
        return pb.StreamReply(refusal=refusal_to_wire(reply))
    return pb.StreamReply(chunk=action_chunk_to_wire(reply))


def stream_reply_from_wire(message: pb.StreamReply) -> m.ActionChunk | m.Refusal:
    match message.WhichOneof("reply"):
        case "chunk":
            return action_chunk_from_wire(message.chunk)
        case "refusal":
            return refusal_from_wire(message.refusal)
        case _:
            raise WireError("reply is empty, expected a chunk or a refusal")


def server_status_to_wire(status: m.ServerStatus) -> pb.ServerStatus:
    message = pb.ServerStatus(
        version=status.version,
        uptime=status.uptime,
        device=status.device,
        queue_length=status.queue_length,
        batch_seconds_fixed=status.batch_seconds[0],
        batch_seconds_per_sample=status.batch_seconds[1],
    )
    for policy in status.policies:
        message.policies.add(
            name=policy.name,
            state=check.enum_number(policy.state, _STATES),  # pyright: ignore[reportArgumentType]
            interface_digest=policy.interface_digest,
            policy_digest=policy.policy_digest,
            sessions=policy.sessions,
            served=policy.served,
            refused=dict(policy.refused),
        )
    return message


def server_status_from_wire(message: pb.ServerStatus) -> m.ServerStatus:
    if len(message.policies) > 1000:
        raise WireError(f"policies has {len(message.policies)} entries, expected at most 1000")
    return m.ServerStatus(
        version=check.text(message.version, "version", longest=100),
        uptime=check.number(message.uptime, "uptime", 0.0),
        device=check.text(message.device, "device", longest=200),
        policies=tuple(
            m.PolicyStatus(
                name=check.text(policy.name, "policies.name", required=True, longest=200),
                state=check.name_from_enum(policy.state, "policies.state", _STATES),  # pyright: ignore[reportArgumentType]
                interface_digest=check.text(policy.interface_digest, "policies.interface_digest"),
                policy_digest=check.text(policy.policy_digest, "policies.policy_digest"),
                sessions=policy.sessions,
                served=policy.served,
                refused=check.counters(policy.refused, "policies.refused"),
            )
            for policy in message.policies
        ),
        queue_length=message.queue_length,
        batch_seconds=(
            check.number(message.batch_seconds_fixed, "batch_seconds_fixed"),
            check.number(message.batch_seconds_per_sample, "batch_seconds_per_sample"),
        ),
    )
