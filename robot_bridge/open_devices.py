"""Opens the devices that a rig names; a driver's own file is imported only when the rig asks for it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from robot_bridge.clock import Clock
from robot_bridge.devices import Arm, Camera, Gripper
from robot_bridge.rig import CameraRig, Rig
from robot_contract.messages import SceneSetup, TruthStatus


@dataclass(frozen=True, kw_only=True)
class StagedScene:
    instruction: str
    document: str  # the whole scene as canonical JSON


class World(Protocol):
    """A simulated cell: it can be set up anew, and it knows what really happened."""

    def stage(self, setup: SceneSetup) -> StagedScene: ...
    def begin_episode(self) -> None: ...
    def truth(self) -> TruthStatus: ...
    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Devices:
    arm: Arm
    gripper: Gripper
    cameras: Mapping[str, Camera]
    clock: Clock
    world: World | None = None  # simulated robots only

    def close(self) -> None:
        for camera in self.cameras.values():
            camera.close()
        self.gripper.close()
        self.arm.close()
        if self.world is not None:
            self.world.close()


def open_devices(rig: Rig) -> Devices:
    real = [camera for camera in rig.cameras if camera.driver == "realsense"]
    if not real or rig.arm.driver == "twin":  # which has cameras of its own only, and says so
        return _open_cell(rig)
    others = tuple(camera for camera in rig.cameras if camera.driver != "realsense")
    cameras = open_real_cameras(real)
    try:
        cell = _open_cell(dataclasses.replace(rig, cameras=others))
    except BaseException:
        for camera in cameras.values():
            camera.close()
        raise
    return dataclasses.replace(cell, cameras={**cell.cameras, **cameras})


def open_real_cameras(cameras: Sequence[CameraRig]) -> Mapping[str, Camera]:
    from robot_bridge.realsense.requirements import require_sdk

    require_sdk()
    from robot_bridge.realsense.open_cameras import open_realsense

    return open_realsense(cameras)


def _open_cell(rig: Rig) -> Devices:
    """The arm with its gripper, and the cameras that come with it."""
    match rig.arm.driver:
        case "mock":
            from robot_bridge.drivers.mock_cell import open_mock

            return open_mock(rig)
        case "twin":
            from robot_bridge.drivers.twin_cell import open_twin

            return open_twin(rig)
        case "franka":
            from robot_bridge.franka.requirements import require_franky

            require_franky()
            from robot_bridge.franka.cell import open_franka

            return open_franka(rig)
        case "crisp":
            from robot_bridge.ros.requirements import require_ros

            require_ros()
            from robot_bridge.drivers.crisp import open_crisp

            return open_crisp(rig)
