"""`dataset_statistics.json` (or `norm_stats`) into a contract's statistics in metres and radians."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from policy_server.convert.robots import RobotPreset
from robot_contract.errors import ContractError, nearest_name
from robot_contract.policy_contract import (
    ACTION_WIDTH,
    PROPRIOCEPTION_WIDTHS,
    Normalisation,
    Statistics,
)
from robot_contract.pose import Vector

_BOUNDS: dict[Normalisation, tuple[str, str]] = {"bounds_q99": ("q01", "q99"), "bounds": ("min", "max")}


def choose_dataset(norm_stats: Mapping[str, Any], name: str | None, *, file: str) -> str:
    """The named data set, or the only one; `NAME_no_noops` answers to NAME."""
    if not norm_stats:
        raise ContractError(f"{file}: expected statistics of at least one data set, found none")
    if name is None:
        if len(norm_stats) == 1:
            return next(iter(norm_stats))
        shown = ", ".join(sorted(norm_stats))
        raise ContractError(f"{file}: has statistics of {shown}; say which with --dataset")
    for candidate in (name, f"{name}_no_noops"):
        if candidate in norm_stats:
            return candidate
    raise ContractError(f"{file}: no statistics of {name!r}; {nearest_name(name, norm_stats)}")


def physical_statistics(
    entry: Any, robot: RobotPreset, *, with_proprioception: bool, file: str
) -> Statistics:
    """Bounds in the contract's units; dataset units times the robot's scale."""
    scale = np.array([robot.metres_per_unit] * 3 + [robot.radians_per_unit] * 3 + [1.0])
    action = _section(entry, "action", file)
    low, high = _bounds(action, "action", robot.normalisation, ACTION_WIDTH, file)
    mask = _mask(action, ACTION_WIDTH, file)
    if not all(mask[:6]):
        raise ContractError(f"{file}: action.mask: expected true for the six deltas, found {list(mask)}")
    width = sum(PROPRIOCEPTION_WIDTHS[name] for name in robot.proprioception) if with_proprioception else 0
    proprio_low, proprio_high = np.zeros(0), np.zeros(0)
    if width:
        proprio = _section(entry, "proprio", file)
        proprio_low, proprio_high = _bounds(proprio, "proprio", robot.normalisation, width, file)
        if not all(_mask(proprio, width, file)):
            raise ContractError(f"{file}: proprio.mask: expected true everywhere")
    return Statistics(
        action_low=low * scale,
        action_high=high * scale,
        action_mask=mask,
        proprioception_low=proprio_low,
        proprioception_high=proprio_high,
    )


def longest_step(statistics: Statistics) -> tuple[float, float]:
    """The longest translation [m] and rotation [rad] of a step that the statistics allow, rounded up."""
    largest = np.maximum(np.abs(statistics.action_low), np.abs(statistics.action_high))
    translation, rotation = (float(np.linalg.norm(largest[part])) for part in (slice(0, 3), slice(3, 6)))
    return float(np.ceil(translation * 1e5) / 1e5), float(np.ceil(rotation * 1e4) / 1e4)


def _section(entry: Any, name: str, file: str) -> Mapping[str, Any]:
    section: Any = cast(dict[str, Any], entry).get(name) if isinstance(entry, dict) else None
    if not isinstance(section, dict):
        raise ContractError(f"{file}: {name}: expected an object, found {type(section).__name__}")
    return cast(dict[str, Any], section)


def _bounds(
    section: Mapping[str, Any], name: str, normalisation: Normalisation, width: int, file: str
) -> tuple[Vector, Vector]:
    low, high = (_numbers(section.get(key), f"{name}.{key}", width, file) for key in _BOUNDS[normalisation])
    return low, high


def _numbers(values: Any, name: str, width: int, file: str) -> Vector:
    if not isinstance(values, list) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in cast(list[Any], values)
    ):
        raise ContractError(f"{file}: {name}: expected {width} numbers, found {values!r}")
    array = np.array(values, dtype=np.float64)
    if array.shape != (width,) or not np.isfinite(array).all():
        raise ContractError(f"{file}: {name}: expected {width} finite numbers, found {array.size}")
    return array


def _mask(section: Mapping[str, Any], width: int, file: str) -> tuple[bool, ...]:
    mask = section.get("mask", [True] * width)  # as upstream fills it in
    if not isinstance(mask, list) or len(cast(list[Any], mask)) != width:
        raise ContractError(f"{file}: mask: expected {width} times true or false, found {mask!r}")
    return tuple(bool(value) for value in cast(list[Any], mask))
