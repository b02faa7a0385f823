"""Opens the devices that a rig names; a driver's own file is imported only when the rig asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from robot_bridge.clock import Clock
from robot_bridge.devices import Arm, Camera, Gripper
from robot_bridge.rig import Rig
from robot_contract.errors import RigError
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
    match rig.arm.driver:
        case "mock":
            from robot_bridge.drivers.mock_cell import open_mock

            return open_mock(rig)
        case "twin":
            from robot_bridge.drivers.twin_cell import open_twin

            return open_twin(rig)
        case driver:
            raise RigError(f"{rig.file.name}: this build has no driver {driver!r}; it has mock and twin")
