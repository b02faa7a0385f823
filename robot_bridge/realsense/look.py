"""Exposure, gain and white balance: found by the camera while it warms up, then locked.

The policy was trained with one look; an arm that reaches into the picture must not change it.
"""

from collections.abc import Mapping
from typing import Any

from robot_bridge.realsense.sdk import rs

Look = Mapping[str, float]  # option name to value, in the camera's own units

_AUTOMATIC = {  # automatic control: what it decides
    "enable_auto_exposure": ("exposure", "gain"),
    "enable_auto_white_balance": ("white_balance",),
}


def adjusts_itself(sensor: Any) -> bool:
    return any(_can_set(sensor, name) for name in _AUTOMATIC)


def begin_look(sensor: Any) -> None:
    """Let the camera find its look, at full rate in dim light too, and stamp frames by one global clock."""
    _set(sensor, "global_time_enabled", 1.0)
    _set(sensor, "auto_exposure_priority", 0.0)  # 1 would halve the frame rate in dim light
    for automatic in _AUTOMATIC:
        _set(sensor, automatic, 1.0)


def read_look(sensor: Any) -> Look:
    """What the camera found."""
    names = [name for decided in _AUTOMATIC.values() for name in decided]
    options = {name: getattr(rs.option, name) for name in names}
    return {name: float(sensor.get_option(key)) for name, key in options.items() if sensor.supports(key)}


def lock_look(sensor: Any, look: Look) -> None:
    """Automatic control first: while it is on, values are refused or overwritten."""
    _set(sensor, "global_time_enabled", 1.0)
    _set(sensor, "auto_exposure_priority", 0.0)
    for automatic in _AUTOMATIC:
        _set(sensor, automatic, 0.0)
    for name, value in look.items():
        _set(sensor, name, value)


def _set(sensor: Any, name: str, value: float) -> None:
    if _can_set(sensor, name):
        sensor.set_option(getattr(rs.option, name), value)


def _can_set(sensor: Any, name: str) -> bool:
    key = getattr(rs.option, name)
    return bool(sensor.supports(key)) and not sensor.is_option_read_only(key)
