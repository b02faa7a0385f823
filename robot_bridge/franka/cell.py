"""Everything that a rig with driver franka opens: Desk where asked, arm, hand, and pictures of the twin."""

import dataclasses

from robot_bridge.clock import MonotonicClock
from robot_bridge.franka.arm import FrankaArm
from robot_bridge.franka.fci import Fci
from robot_bridge.franka.hand import FrankaHand
from robot_bridge.franka.settings import TwinPictures
from robot_bridge.open_devices import Devices
from robot_bridge.rig import Rig
from robot_contract.errors import RigError

PLACEHOLDER = "EDIT"  # what the shipped rig has where a person has to write


def open_franka(rig: Rig) -> Devices:
    assert rig.franka is not None
    require_address(rig)
    address, settings = rig.arm.options["address"], rig.franka
    drawn = [camera.name for camera in rig.cameras if camera.driver == "twin"]
    if len(drawn) != len(rig.cameras) or bool(drawn) != (settings.twin_pictures is not None):
        raise RigError(
            f"{rig.file.name}: a franka arm has realsense cameras, or cameras of the twin and the section"
            " franka.twin_pictures"
        )
    when_closed = _nothing
    if settings.desk is not None:
        from robot_bridge.franka.desk import open_desk

        is_legacy = rig.arm.model != "fr3" or not rig.arm.system_version.startswith("5")
        when_closed = open_desk(address, settings.desk, is_legacy=is_legacy)
    try:
        arm = FrankaArm(rig, lambda: Fci(rig), when_closed=when_closed)
    except BaseException:
        when_closed()
        raise
    try:
        hand = FrankaHand(address, rig.gripper.max_width, settings.hand)
    except BaseException:
        arm.close()
        raise
    arm.when_recovered = hand.recover
    devices = Devices(arm=arm, gripper=hand, cameras={}, clock=MonotonicClock())
    if settings.twin_pictures is None:
        return devices
    try:
        return _with_pictures(rig, settings.twin_pictures, devices)
    except BaseException:
        devices.close()
        raise


def _with_pictures(rig: Rig, pictures: TwinPictures, devices: Devices) -> Devices:
    from robot_bridge.franka.mirror import Mirror

    mirror = Mirror(rig, pictures, devices.arm, devices.gripper)
    return dataclasses.replace(devices, cameras=dict(mirror.cameras), world=mirror)


def _nothing() -> None:
    """No session of Desk to close."""


def require_address(rig: Rig) -> None:
    address = rig.arm.options["address"]
    if address.startswith(PLACEHOLDER):
        raise RigError(
            f"{rig.file.name}: arm.options.address is still {address}: write the arm's address as Desk shows"
            " it, or give --robot-ip"
        )
