"""Policy side of the wire: observations, chunks, refusals, contracts, server status."""

from typing import get_args

import numpy as np

from robot_contract import messages as m
from robot_contract import policy_contract as pc
from robot_contract import wire_checks as check
from robot_contract import wire_pb2 as pb
from robot_contract.errors import ContractError, WireError
from robot_contract.policy_contract import ACTION_WIDTH, PolicyContract

MAX_CAMERAS = 8
MAX_SIDE = 4096  # [px]
MAX_JPEG_BYTES = 8 << 20
MAX_STEPS = 256
MAX_PROVENANCE = 200

_REASONS = check.enum_names(pb.RefusalReason, "REFUSAL_REASON", get_args(m.RefusalReason))
_REFERENCES = check.enum_names(pb.Reference, "REFERENCE", get_args(pc.Reference))
_FRAMES = check.enum_names(pb.DeltaFrame, "DELTA_FRAME", get_args(pc.DeltaFrame))
_EXECUTIONS = check.enum_names(pb.Execution, "EXECUTION", get_args(pc.Execution))
_MOUNTS = check.enum_names(pb.Mount, "MOUNT", get_args(pc.Mount))
_NORMALISATIONS = check.enum_names(pb.Normalisation, "NORMALISATION", get_args(pc.Normalisation))
_PROPRIOCEPTION = check.enum_names(
    pb.ProprioceptionField, "PROPRIOCEPTION_FIELD", get_args(pc.ProprioceptionField)
)
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
        interface_digest=_digest(message.interface_digest, "interface_digest"),
        policy_digest=_digest(message.policy_digest, "policy_digest"),
        timings=m.Timings(
            queue=check.number(timings.queue, "timings.queue", 0.0),
            preprocess=check.number(timings.preprocess, "timings.preprocess", 0.0),
            model=check.number(timings.model, "timings.model", 0.0),
            total=check.number(timings.total, "timings.total", 0.0),
            batch_size=timings.batch_size,
        ),
    )


def _digest(value: str, field: str) -> str:
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


def policy_contract_to_wire(contract: PolicyContract) -> pb.PolicyContract:
    statistics = contract.statistics
    message = pb.PolicyContract(
        name=contract.name,
        schema_version=contract.schema_version,
        reference=check.enum_number(contract.reference, _REFERENCES),  # pyright: ignore[reportArgumentType]
        frame=check.enum_number(contract.frame, _FRAMES),  # pyright: ignore[reportArgumentType]
        execution=check.enum_number(contract.execution, _EXECUTIONS),  # pyright: ignore[reportArgumentType]
        step_period=contract.step_period,
        chunk_length=contract.chunk_length,
        execute_steps=contract.execute_steps,
        trained_delay_steps=contract.trained_delay_steps,
        time_stretch=contract.time_stretch,
        max_translation_per_step=contract.max_translation_per_step,
        max_rotation_per_step=contract.max_rotation_per_step,
        flange_from_tcp=check.pose_to_wire(contract.flange_from_tcp),
        gripper=pb.GripperContract(
            max_width=contract.gripper.max_width,
            close_below=contract.gripper.close_below,
            open_above=contract.gripper.open_above,
        ),
        max_camera_skew=contract.max_camera_skew,
        proprioception_origin=check.pose_to_wire(contract.proprioception_origin),
        prompt_template=contract.prompt_template,
        normalisation=check.enum_number(contract.normalisation, _NORMALISATIONS),  # pyright: ignore[reportArgumentType]
        statistics=pb.Statistics(
            action_low=statistics.action_low.tolist(),
            action_high=statistics.action_high.tolist(),
            action_mask=statistics.action_mask,
            proprioception_low=statistics.proprioception_low.tolist(),
            proprioception_high=statistics.proprioception_high.tolist(),
        ),
        weights_digest=contract.weights_digest,
        interface_digest=contract.interface_digest,
        policy_digest=contract.policy_digest,
    )
    message.proprioception.extend(
        check.enum_number(name, _PROPRIOCEPTION)  # pyright: ignore[reportArgumentType]
        for name in contract.proprioception
    )
    message.provenance.extend(pb.Provenance(key=key, value=value) for key, value in contract.provenance)
    for camera in contract.cameras:
        message.cameras.add(
            name=camera.name,
            mount=check.enum_number(camera.mount, _MOUNTS),  # pyright: ignore[reportArgumentType]
            vertical_field_of_view=camera.vertical_field_of_view,
            crop_width=camera.crop_width,
            crop_height=camera.crop_height,
            width=camera.width,
            height=camera.height,
        )
    return message


def policy_contract_from_wire(message: pb.PolicyContract) -> PolicyContract:
    """Return the contract; both digests must follow from the fields."""
    if len(message.provenance) > MAX_PROVENANCE:
        raise WireError(
            f"provenance has {len(message.provenance)} entries, expected at most {MAX_PROVENANCE}"
        )
    try:
        contract = PolicyContract(
            name=check.text(message.name, "name", required=True, longest=200),
            schema_version=message.schema_version,
            reference=check.name_from_enum(message.reference, "reference", _REFERENCES),
            frame=check.name_from_enum(message.frame, "frame", _FRAMES),
            execution=check.name_from_enum(message.execution, "execution", _EXECUTIONS),
            step_period=check.number(message.step_period, "step_period"),
            chunk_length=message.chunk_length,
            execute_steps=message.execute_steps,
            trained_delay_steps=message.trained_delay_steps,
            time_stretch=check.number(message.time_stretch, "time_stretch"),
            max_translation_per_step=check.number(
                message.max_translation_per_step, "max_translation_per_step"
            ),
            max_rotation_per_step=check.number(message.max_rotation_per_step, "max_rotation_per_step"),
            flange_from_tcp=check.pose_from_wire(message.flange_from_tcp, "flange_from_tcp"),
            gripper=pc.GripperContract(
                max_width=check.number(message.gripper.max_width, "gripper.max_width"),
                close_below=check.number(message.gripper.close_below, "gripper.close_below"),
                open_above=check.number(message.gripper.open_above, "gripper.open_above"),
            ),
            cameras=tuple(
                pc.CameraContract(
                    name=check.text(camera.name, "cameras.name", required=True, longest=200),
                    mount=check.name_from_enum(camera.mount, "cameras.mount", _MOUNTS),
                    vertical_field_of_view=check.number(
                        camera.vertical_field_of_view, "cameras.vertical_field_of_view"
                    ),
                    crop_width=check.number(camera.crop_width, "cameras.crop_width"),
                    crop_height=check.number(camera.crop_height, "cameras.crop_height"),
                    width=camera.width,
                    height=camera.height,
                )
                for camera in message.cameras[: MAX_CAMERAS + 1]
            ),
            max_camera_skew=check.number(message.max_camera_skew, "max_camera_skew"),
            proprioception=tuple(
                check.name_from_enum(field, "proprioception", _PROPRIOCEPTION)
                for field in message.proprioception[:100]
            ),
            proprioception_origin=check.pose_from_wire(
                message.proprioception_origin, "proprioception_origin"
            ),
            prompt_template=check.text(message.prompt_template, "prompt_template"),
            normalisation=check.name_from_enum(message.normalisation, "normalisation", _NORMALISATIONS),
            statistics=_statistics_from_wire(message.statistics),
            weights_digest=_digest(message.weights_digest, "weights_digest"),
            provenance=tuple(
                (check.text(entry.key, "provenance key"), check.text(entry.value, "provenance value"))
                for entry in message.provenance
            ),
        )
    except ContractError as error:
        raise WireError(str(error)) from error
    for field in ("interface_digest", "policy_digest"):
        if getattr(message, field) != getattr(contract, field):
            raise WireError(
                f"{field} is {getattr(message, field)[:70]!r}, but the contract's fields give"
                f" {getattr(contract, field)}"
            )
    return contract


def _statistics_from_wire(message: pb.Statistics) -> pc.Statistics:
    names = ("action_low", "action_high", "proprioception_low", "proprioception_high")
    for name in names:
        values = np.array(getattr(message, name))
        if values.size > 100 or not np.isfinite(values).all():
            raise WireError(f"statistics.{name} must be at most 100 finite numbers")
    return pc.Statistics(
        **{name: np.array(getattr(message, name)) for name in names},
        action_mask=tuple(message.action_mask[:100]),
    )


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
