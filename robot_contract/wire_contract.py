"""The policy contract on the wire; both digests must follow from its fields."""

from typing import get_args

import numpy as np

from robot_contract import policy_contract as pc
from robot_contract import wire_checks as check
from robot_contract import wire_pb2 as pb
from robot_contract.errors import ContractError, WireError
from robot_contract.policy_contract import PolicyContract
from robot_contract.wire_policy import MAX_CAMERAS, digest_text

MAX_PROVENANCE = 200

_REFERENCES = check.enum_names(pb.Reference, "REFERENCE", get_args(pc.Reference))
_FRAMES = check.enum_names(pb.DeltaFrame, "DELTA_FRAME", get_args(pc.DeltaFrame))
_EXECUTIONS = check.enum_names(pb.Execution, "EXECUTION", get_args(pc.Execution))
_MOUNTS = check.enum_names(pb.Mount, "MOUNT", get_args(pc.Mount))
_NORMALISATIONS = check.enum_names(pb.Normalisation, "NORMALISATION", get_args(pc.Normalisation))
_PROPRIOCEPTION = check.enum_names(
    pb.ProprioceptionField, "PROPRIOCEPTION_FIELD", get_args(pc.ProprioceptionField)
)


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
            weights_digest=digest_text(message.weights_digest, "weights_digest"),
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
