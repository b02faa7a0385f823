"""The conversion: recognise the layout, read its sizes, stream its tensors into a checkpoint folder."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from policy_server.checkpoint import UNSAVED_DIGEST, Checkpoint, save_checkpoint
from policy_server.convert import openvla, openvla_oft, rlinf, simplevla_rl
from policy_server.convert.architecture import base_config
from policy_server.convert.dataset_statistics import (
    choose_dataset,
    longest_step,
    physical_statistics,
)
from policy_server.convert.lora_merge import merge_adapter, merge_inline
from policy_server.convert.published_folder import PublishedFolder, look_at
from policy_server.convert.robots import RobotPreset, choose_cameras
from policy_server.convert.tensor_files import map_tensors
from policy_server.model.config import ModelConfig
from policy_server.model.tokenizer import PromptTokenizer
from policy_server.preprocessing import OPENVLA_PROMPT
from policy_server.weights import SHARD_BYTES
from robot_contract.errors import ContractError
from robot_contract.policy_contract import CameraContract, PolicyContract

LayoutName = Literal["openvla", "openvla-oft", "simplevla-rl", "rlinf"]


class Layout(Protocol):
    """One file each: how to know the layout, and what it changes in the model."""

    def recognise(self, folder: PublishedFolder) -> str | None: ...
    def specialise(self, config: ModelConfig, folder: PublishedFolder) -> ModelConfig: ...


LAYOUTS: dict[LayoutName, Layout] = {
    "openvla": openvla,
    "openvla-oft": openvla_oft,
    "simplevla-rl": simplevla_rl,
    "rlinf": rlinf,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Choices:
    """What no published folder says, and a person has to."""

    name: str  # of the policy
    robot: RobotPreset
    robot_name: str
    cameras: tuple[str, ...]  # in the order of training
    dataset: str | None = None  # whose statistics; None when there is one
    layout: LayoutName | None = None  # None: recognised
    chunk_length: int | None = None  # None: the robot's, and 1 for OpenVLA
    crop_area: float | None = None  # None: 0.9, and 1 for the base OpenVLA
    base: Path | None = None  # weights, when the folder holds a LoRA adapter alone


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """Everything decided, nothing read yet but shapes."""

    layout: LayoutName
    because: str
    folder: PublishedFolder
    config: ModelConfig
    contract: PolicyContract
    adapter_to_merge: Path | None
    tokenizer: Path  # folder with tokenizer.json
    remarks: tuple[str, ...]


def recognise(folder: PublishedFolder) -> tuple[LayoutName, str]:
    """The one layout whose signs the folder bears; an undecided folder is refused."""
    found: list[tuple[LayoutName, str]] = []
    for name, layout in LAYOUTS.items():
        because = layout.recognise(folder)
        if because:
            found.append((name, because))
    if len(found) == 1:
        return found[0]
    shown = "; ".join(f"{name} ({because})" for name, because in found) or "signs of none"
    raise ContractError(
        f"{folder.path}: expected signs of one layout, found {shown}; say which with --layout"
    )


def plan_conversion(source: Path, choices: Choices) -> Conversion:
    folder = look_at(source, base=choices.base)
    layout, because = (choices.layout, "chosen") if choices.layout else recognise(folder)
    robot = choices.robot
    one_action = layout == "openvla"
    chunk_length, crop_area = choices.chunk_length, choices.crop_area
    if chunk_length is None:
        chunk_length = 1 if one_action else robot.chunk_length
    if crop_area is None:
        crop_area = 1.0 if one_action else 0.9
    config = base_config(folder, cameras=len(choices.cameras), chunk_length=chunk_length, crop_area=crop_area)
    config = LAYOUTS[layout].specialise(config, folder)
    config = replace(config, action_rotation=robot.rotation)
    contract = _contract(folder, config, choices, provenance=f"{layout}: {because}")
    own_tokenizer = choices.base is None or (source / "tokenizer.json").exists()
    return Conversion(
        layout=layout,
        because=because,
        folder=folder,
        config=config,
        contract=contract,
        adapter_to_merge=folder.adapter if choices.base else None,
        tokenizer=source if own_tokenizer else choices.base or source,
        remarks=tuple(_remarks(folder, choices)),
    )


def _remarks(folder: PublishedFolder, choices: Choices) -> Iterator[str]:
    if folder.adapter is None:
        return
    if choices.base is None:
        yield f"{folder.adapter.name}: taken as merged already, since the folder holds a whole model too"
    else:
        yield f"{folder.adapter.name}: merged into the weights of {choices.base.name}"


def _contract(
    folder: PublishedFolder, config: ModelConfig, choices: Choices, *, provenance: str
) -> PolicyContract:
    robot = choices.robot
    file = str(folder.path / ("dataset_statistics.json" if folder.has_own_statistics else "config.json"))
    dataset = choose_dataset(folder.norm_stats, choices.dataset, file=file)
    statistics = physical_statistics(
        folder.norm_stats[dataset],
        robot,
        with_proprioception=config.proprio_size > 0,
        file=f"{file}: {dataset}",
    )
    translation, rotation = longest_step(statistics)
    cameras: Sequence[CameraContract] = choose_cameras(robot, choices.cameras)
    return PolicyContract(
        name=choices.name,
        reference=robot.reference,
        frame=robot.frame,
        execution="synchronous",
        step_period=robot.step_period,
        chunk_length=config.chunk_length,
        execute_steps=config.chunk_length,
        trained_delay_steps=0,
        time_stretch=1.0,
        max_translation_per_step=translation,
        max_rotation_per_step=rotation,
        flange_from_tcp=robot.flange_from_tcp,
        gripper=robot.gripper,
        cameras=tuple(cameras),
        max_camera_skew=robot.step_period,
        proprioception=robot.proprioception if config.proprio_size else (),
        proprioception_origin=robot.proprioception_origin,
        prompt_template=OPENVLA_PROMPT,
        normalisation=robot.normalisation,
        statistics=statistics,
        weights_digest=UNSAVED_DIGEST,
        provenance=(
            ("converted from", folder.path.name),
            ("layout", provenance),
            ("data set", dataset),
            ("robot", choices.robot_name),
            ("config.json sha256", _digest_of_config(folder, choices)),
        ),
    )


def _digest_of_config(folder: PublishedFolder, choices: Choices) -> str:
    file = (choices.base or folder.path) / "config.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def converted_tensors(conversion: Conversion) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the new checkpoint; one source file is mapped at a time, and read as it is written."""
    folder = conversion.folder
    replaced = "vision_backbone." if conversion.config.film else None
    model = (
        (key, tensor)
        for file in folder.files
        for key, tensor in map_tensors(file).items()
        if key in folder.files[file] and (replaced is None or not key.startswith(replaced))
    )
    adapter = conversion.adapter_to_merge
    yield from model if adapter is None else merge_adapter(model, adapter)
    for name, file in folder.side_files.items():
        tensors = map_tensors(file)
        if name == "vision_backbone":
            yield from merge_inline(tensors, file)
        else:
            yield from ((f"{name}.{key}", tensor) for key, tensor in tensors.items())


def run_conversion(
    conversion: Conversion,
    destination: Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    shard_bytes: int = SHARD_BYTES,
    device: str = "cpu",
) -> Checkpoint:
    """Write the checkpoint folder; on any error there is none."""
    tokenizer = PromptTokenizer.load(conversion.tokenizer, conversion.config.tokens)
    report = {
        "converted": dict(conversion.contract.provenance),
        "remarks": list(conversion.remarks),
        "evaluations": {},
    }
    return save_checkpoint(
        destination,
        contract=conversion.contract,
        config=conversion.config,
        tensors=converted_tensors(conversion),
        source=f"{conversion.folder.path} as {conversion.layout}",
        tokenizer=tokenizer,
        report=report,
        dtype=dtype,
        shard_bytes=shard_bytes,
        device=device,
    )
