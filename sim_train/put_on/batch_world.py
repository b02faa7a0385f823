"""What many put-on cells in one ManiSkill simulation are built of, once and for good.

Every cell holds the whole catalogue, and what a scene does not name is parked: so an episode begins in some
cells while the others go on, and nothing is built again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import sapien
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils.structs import Pose as ManiSkillPose
from mani_skill.utils.structs.types import SimConfig

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.scene import Light
from sim_train.put_on.arm import PutOnPanda, PutOnPandaPlain
from sim_train.put_on.batch_arm import ArmKinematics, ArmTargets
from sim_train.put_on.batch_contacts import watched_pairs
from sim_train.put_on.batch_physics import BatchPhysics, CellBodies, CpuCells, GpuCells
from sim_train.put_on.cameras import PutOnCamera, sapien_camera_pose
from sim_train.put_on.cell import add_lamps, build_table, build_thing, lamps_of, table_top
from sim_train.put_on.gpu_physics import require_gpu_physics
from sim_train.put_on.parking import build_shelf, parked_pose, thing_names
from sim_train.put_on.world import FAR, NEAR, Look, robot_of, shader_of, sim_config

_DARK = Light(azimuth=0.0, elevation=1.0, intensity=0.0, ambient=0.0, warmth=0.0)  # until an episode begins
_HAND, _FLANGE = "panda_hand_tcp", "panda_link8"

Physics = Literal["gpu", "cpu"]


class BatchWorld(BaseEnv):
    SUPPORTED_ROBOTS = [PutOnPanda.uid, PutOnPandaPlain.uid]  # noqa: RUF012 ManiSkill's own form
    SUPPORTED_REWARD_MODES = ["none"]  # noqa: RUF012
    agent: PutOnPanda

    def __init__(
        self,
        count: int,
        *,
        cameras: Mapping[str, PutOnCamera],
        rate_hz: float,
        physics: Physics,
        render_backend: str,
        look: Look,
    ) -> None:
        """With physics on the CPU each cell has a PhysX system of its own, and nothing is gained by it."""
        if physics == "gpu":
            require_gpu_physics()
        self.count = count
        self.look: Look = look
        self.put_on_cameras = dict(cameras)
        self._rate_hz = rate_hz
        self._on_gpu = physics == "gpu"
        super().__init__(
            num_envs=count if self._on_gpu else 1,  # ManiSkill knows one CPU cell; `_setup_scene` makes more
            obs_mode="none",
            reward_mode="none",
            robot_uids=robot_of(look),
            control_mode="put_on",
            sim_backend=physics,
            render_backend=render_backend,
        )
        bodies = [self._bodies_of(cell) for cell in range(count)]
        self._watched = watched_pairs(tuple(bodies[0].links))
        self._physics: BatchPhysics = (
            GpuCells(self.scene, bodies, self._watched) if self._on_gpu else CpuCells(bodies, self._watched)
        )
        self._entities = [
            [*of_cell.things.values(), *(link.entity for link in of_cell.links.values())]
            for of_cell in bodies
        ]
        self._hand = len(thing_names()) + list(bodies[0].links).index(_HAND)
        self._flange = len(thing_names()) + list(bodies[0].links).index(_FLANGE)
        kinematics = ArmKinematics(Path(self.agent.urdf_path), self.agent.ee_link_name, self.device)
        self._targets = ArmTargets.of(kinematics, count, self.device)

    @property
    def _default_sim_config(self) -> SimConfig:
        return sim_config(self._rate_hz)

    def _setup_scene(self) -> None:
        if self._on_gpu or self.count == 1:
            super()._setup_scene()
            return
        made: list[sapien.Scene] = []
        for _ in range(self.count):
            super()._setup_scene()
            made += self.scene.sub_scenes
        self.scene.sub_scenes[:] = made
        self.scene._reset_mask = torch.ones(self.count, dtype=torch.bool)

    def _load_agent(self, options: dict[str, Any]) -> None:
        super()._load_agent(options, ManiSkillPose.create([sapien.Pose()] * self.count, device=self.device))

    def _load_scene(self, options: dict[str, Any]) -> None:
        known = {**catalogue().objects, **catalogue().receptacles}
        build_shelf(self.scene)
        self._tops = [table_top("oak") for _ in range(self.count)]
        self._tables = [build_table(self.scene, top, cells=[cell]) for cell, top in enumerate(self._tops)]
        self._things = [
            {
                name: build_thing(
                    self.scene,
                    known[name],
                    parked_pose(name),
                    friction=1.0,
                    mass=1.0,
                    scanned=self.look == "scanned",
                    cells=[cell],
                )
                for name in thing_names()
            }
            for cell in range(self.count)
        ]

    def _load_lighting(self, options: dict[str, Any]) -> None:
        self._lamps = [add_lamps(scene, lamps_of(_DARK)) for scene in self.scene.sub_scenes]

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        flange = self.agent.robot.links_map[_FLANGE]
        return [
            CameraConfig(
                uid=name,
                pose=sapien_camera_pose(camera.mount_from_camera),
                width=camera.width,
                height=camera.height,
                fov=camera.vertical_field_of_view,
                near=NEAR,
                far=FAR,
                mount=None if camera.mount == "base" else flange,
                **shader_of(self.look),
            )
            for name, camera in self.put_on_cameras.items()
        ]

    def get_state_dict(self) -> dict[str, Any]:
        """ManiSkill keeps one for its wrappers; these cells are not seen through any."""
        return {}

    def _bodies_of(self, cell: int) -> CellBodies:
        robot = self.agent.robot
        return CellBodies(
            scene=self.scene.sub_scenes[cell],
            things={name: thing._objs[0] for name, thing in self._things[cell].items()},
            table=self._tables[cell]._objs[0],
            links={link.name: link._objs[cell] for link in robot.links},
            robot=robot._objs[cell],
        )
