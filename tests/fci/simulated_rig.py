"""The rig of the simulated control interface, and opening it as often as tests do."""

import dataclasses
import time

from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault

CONNECT_SECONDS = 10.0  # after a client that died the simulated arm needs a second


def rig_at(address: str, *, tracking: str = "impedance") -> Rig:
    """The rig of the simulated control interface, blind."""
    rig = load_rig(find_rig("franka_simulated"))
    assert rig.franka is not None
    options = {**rig.arm.options, "address": address, "tracking": tracking}
    return dataclasses.replace(
        rig,
        arm=dataclasses.replace(rig.arm, options=options),
        cameras=(),
        franka=dataclasses.replace(rig.franka, twin_pictures=None),
    )


def open_when_free(rig: Rig) -> Devices:
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return open_devices(rig)
        except DeviceFault:
            if time.monotonic() >= until:
                raise
            time.sleep(0.3)
