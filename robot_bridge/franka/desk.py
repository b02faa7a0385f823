"""Desk, the arm's own web page, as far as a rig may ask it: open the brakes, activate the control interface.

Only where the rig says so, and only before anything moves. Control of the arm is asked for politely: whoever
has it in the browser is asked there and may say no. It is kept until the devices are closed.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import franky

from robot_bridge.franka.settings import DeskSettings
from robot_contract.errors import DeviceFault, RigError

_log = logging.getLogger(__name__)

_ASKING_SECONDS = 20.0  # whoever has control may take so long to give it


class Desk(Protocol):
    """What is needed of `franky.Desk`."""

    @property
    def brake_state(self) -> object: ...
    @property
    def operating_mode(self) -> object: ...
    def take_control(self, wait_timeout: float = ..., force: bool = ...) -> object: ...
    def unlock_brakes(self) -> None: ...
    def enable_fci(self) -> None: ...


def open_desk(address: str, settings: DeskSettings, *, is_legacy: bool) -> Callable[[], None]:
    """Make the arm ready; the returned function gives control of Desk back, at the very end."""
    try:
        password = settings.password_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RigError(f"{settings.password_file}: cannot be read: {error.strerror}") from error
    kind = franky.DeskWebSession if is_legacy else franky.Desk
    desk = kind(address, settings.user, password)
    try:
        desk.open()
        make_ready(desk, settings)
    except (franky.DeskError, DeviceFault, OSError) as error:
        if desk.is_open:
            desk.close()
        raise DeviceFault(f"Desk at {address} does not make the arm ready: {error}") from error
    return desk.close


def make_ready(desk: Desk, settings: DeskSettings) -> None:
    """Open the brakes and activate the FCI, as far as the rig asks and it is not so already."""
    if desk.operating_mode is not franky.OperatingMode.EXECUTION:
        raise DeviceFault(
            "Desk is not in Execution, and a program moves the arm only there: switch it in Desk"
        )
    desk.take_control(wait_timeout=_ASKING_SECONDS)
    if settings.unlock_brakes and desk.brake_state is not franky.BrakeState.UNLOCKED:
        _log.warning("the brakes open now")
        desk.unlock_brakes()
    if settings.activate_fci:
        desk.enable_fci()
