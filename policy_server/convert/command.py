"""`policy-server convert SRC DST`: what can be chosen, what was recognised, what was written."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from policy_server.checkpoint import DTYPES
from policy_server.convert.conversion import Choices, LayoutName, plan_conversion, run_conversion
from policy_server.convert.robots import robot_preset
from policy_server.device import usable_device
from robot_contract.errors import ContractError


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Turn a published OpenVLA or OpenVLA-OFT folder into a checkpoint folder. Offline; SRC is not changed.

    Layouts: openvla (openvla/openvla), openvla-oft (moojink/openvla-oft with its side files), simplevla-rl,
    rlinf. Torch pickles are opened for tensors alone. What the folder does not say is an option here.
    """

    src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Published folder: config.json, preprocessor_config.json, tokenizer.json, weights."""
    dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Checkpoint folder to make; must not exist."""
    robot: Literal["libero", "bridge", "maniskill-put-on"]
    """What the policy was trained to drive: units, rate, meaning of a delta, proprioception."""
    cameras: tuple[str, ...]
    """Cameras in the order of training; published OpenVLA-OFT LIBERO policies take `external wrist`."""
    dataset: str | None = None
    """Whose statistics to use, where there are several."""
    layout: LayoutName | None = None
    """Needed only where the folder does not show it."""
    dtype: Literal["bf16", "fp16", "fp32"] = "bf16"
    """Number format of the weights."""
    name: str = ""
    """Name of the policy; by default that of DST."""
    chunk_length: int | None = None
    """Actions in a chunk; by default the robot's (libero 8, bridge 5, maniskill-put-on 8), 1 for openvla."""
    crop_area: float | None = None
    """Part of the picture that is kept; by default 0.9, and 1 for openvla."""
    device: str = "cpu"
    """Where the golden chunk is computed: cpu, cuda or cuda:N. A large model is faster on a GPU."""
    base: Path | None = None
    """Folder of the base model, when SRC holds a LoRA adapter alone."""


def convert_command(command: Convert, say: Callable[[str], object]) -> None:
    """Convert, and say line by line what was recognised and decided."""
    device = usable_device(command.device)
    choices = Choices(
        name=command.name or command.dst.name,
        robot=robot_preset(command.robot),
        robot_name=command.robot,
        cameras=command.cameras,
        dataset=command.dataset,
        layout=command.layout,
        chunk_length=command.chunk_length,
        crop_area=command.crop_area,
        base=command.base,
    )
    conversion = plan_conversion(command.src, choices)
    config, contract = conversion.config, conversion.contract
    say(f"layout    {conversion.layout} ({conversion.because})")
    for remark in conversion.remarks:
        say(f"          {remark}")
    say(f"model     {config.mode}, head {config.head}, sequence {config.sequence}, FiLM {config.film}")
    say(f"pictures  {', '.join(command.cameras)}; {config.image_size} px, crop {config.center_crop_area:g}")
    say(f"proprio   {', '.join(contract.proprioception) or 'none'}")
    say(
        f"actions   {config.chunk_length} of {contract.step_period:g} s, {contract.reference}, each up to "
        f"{contract.max_translation_per_step:g} m and {contract.max_rotation_per_step:g} rad"
    )
    checkpoint = run_conversion(conversion, command.dst, dtype=DTYPES[command.dtype], device=device)
    say(f"policy    {checkpoint.contract.policy_digest}")
    say(f"wrote     {command.dst}")


def main(arguments: list[str] | None = None) -> None:
    command = tyro.cli(
        Convert,
        prog="policy-server convert",
        description=inspect.getdoc(Convert),
        args=sys.argv[1:] if arguments is None else arguments,
    )
    try:
        convert_command(command, say=lambda line: sys.stdout.write(line + "\n"))
    except (ContractError, OSError) as error:
        raise SystemExit(f"policy-server: {error}") from None


if __name__ == "__main__":
    main()
