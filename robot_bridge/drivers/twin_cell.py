"""Everything that the `twin` rig opens: the simulated cell with its arm, hand, cameras, clock and truth."""

import dataclasses

from robot_bridge.open_devices import Devices, StagedScene
from robot_bridge.rig import CameraRig, Rig, SimulationRig
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.scene_json import scene_from_json
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.settings import CameraSettings, TwinSettings
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import RigError, nearest_name
from robot_contract.messages import SceneSetup, TruthStatus


def twin_settings(rig: Rig, simulation: SimulationRig) -> TwinSettings:
    """The twin's own cell, with the rig's cameras."""
    settings = TwinSettings(clock=simulation.clock)
    cameras: dict[str, CameraSettings] = {}
    for camera in rig.cameras:
        if camera.driver != "twin":
            raise RigError(f"{rig.file.name}: camera {camera.name}: the twin has cameras of driver twin only")
        cameras[camera.name] = _camera_settings(rig, camera, settings)
    return dataclasses.replace(settings, cameras=cameras)


def _camera_settings(rig: Rig, camera: CameraRig, settings: TwinSettings) -> CameraSettings:
    if camera.name not in settings.cameras:
        hint = nearest_name(camera.name, settings.cameras)
        raise RigError(f"{rig.file.name}: the twin has no camera {camera.name!r}; {hint}")
    as_in_rig = dataclasses.replace(
        settings.cameras[camera.name],
        width=camera.width,
        height=camera.height,
        vertical_field_of_view=camera.vertical_field_of_view,
        frame_rate_hz=camera.rate_hz,
        latency=camera.latency,
    )
    return as_in_rig if camera.calibration is None else as_in_rig.calibrated(camera.calibration)


class TwinCell:
    """The twin as a `World`, and the owner of what it opened."""

    def __init__(self, rig: Rig, simulation: SimulationRig) -> None:
        scene = draw_scene(simulation.split, simulation.seed)
        self.world = TwinWorld(scene, twin_settings(rig, simulation))

    def stage(self, setup: SceneSetup) -> StagedScene:
        scene: Scene = (
            scene_from_json(setup.document) if setup.document else draw_scene(setup.split, setup.seed)
        )
        self.world.reset(scene)
        return StagedScene(instruction=scene.instruction, document=scene.to_json())

    def begin_episode(self) -> None:
        self.world.start_episode()

    def truth(self) -> TruthStatus:
        progress = self.world.progress
        return TruthStatus(
            instruction=self.world.scene.instruction,
            stage=progress.furthest.name.lower(),
            success=progress.succeeded_at is not None,
        )

    def close(self) -> None:
        self.world.close()


def open_twin(rig: Rig) -> Devices:
    if rig.simulation is None:
        raise RigError(f"{rig.file.name}: driver twin needs the section `simulation`")
    cell = TwinCell(rig, rig.simulation)
    world = cell.world
    return Devices(
        arm=world.arm, gripper=world.gripper, cameras=dict(world.cameras), clock=world.clock, world=cell
    )
