"""The put-on task as a ManiSkill environment: registered, so that `gymnasium.make` finds it.

Every episode is a `Scene` of robot_bridge/scene, the same world as the twin's: base frame, table at z = 0.
`reset(seed=s)` draws scene s of the split; `reset(options={"scene": scene})` takes a given one.
"""

from typing import Any

import numpy as np
import sapien
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils.registration import register_env
from mani_skill.utils.structs.types import SimConfig

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS, OPEN_WIDTH
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Progress, Stage, advance
from robot_bridge.scene.truth import SceneTruth
from robot_contract.pose import Pose
from sim_train.put_on.arm import PutOnPanda, PutOnPandaPlain, gripper_action
from sim_train.put_on.cameras import PutOnCamera, default_cameras, pose_in, sapien_camera_pose
from sim_train.put_on.cell import add_lamps, build_table, build_thing, lamps_of, pose_of, table_top
from sim_train.put_on.conditions import Spread, draw_conditions
from sim_train.put_on.past import Past
from sim_train.put_on.pictures import Drawn
from sim_train.put_on.poses import from_row, from_sapien
from sim_train.put_on.truth import owners_of, touching
from sim_train.put_on.world import (
    FAR,
    NEAR,
    PHYSICS_RATE_HZ,
    SETTLING_STEPS,
    Look,
    joints_at_start,
    robot_of,
    shader_of,
    sim_config,
)


@register_env("TouchdownPutOn-v1", max_episode_steps=EPISODE_STEPS)
class PutOnEnv(BaseEnv):
    SUPPORTED_ROBOTS = [PutOnPanda.uid, PutOnPandaPlain.uid]  # noqa: RUF012 ManiSkill's own form
    SUPPORTED_REWARD_MODES = ["sparse", "none"]  # noqa: RUF012
    agent: PutOnPanda

    def __init__(
        self,
        *args: Any,
        split: str = "train",
        conditions: Spread | None = None,
        look: Look = "fast",
        cameras: dict[str, PutOnCamera] | None = None,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.spread = Spread() if conditions is None else conditions
        self.look: Look = look
        self.put_on_cameras = default_cameras() if cameras is None else cameras
        kwargs = {
            "robot_uids": robot_of(look),
            "control_mode": "put_on",
            "sim_backend": "physx_cpu",
            "render_backend": "cpu",
            "reconfiguration_freq": 1,
            **kwargs,
        }
        super().__init__(*args, **kwargs)

    @property
    def _default_sim_config(self) -> SimConfig:
        return sim_config(CONTROL_RATE_HZ)

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        configs: list[CameraConfig] = []
        for name, camera in self.put_on_cameras.items():
            pose = pose_in(self.put_on_scene, self.conditions, name, camera)
            mount = None if camera.mount == "base" else self.agent.robot.links_map["panda_link8"]
            configs.append(
                CameraConfig(
                    uid=name,
                    pose=sapien_camera_pose(pose),
                    width=camera.width,
                    height=camera.height,
                    fov=camera.vertical_field_of_view * self.conditions.field_of_view,
                    near=NEAR,
                    far=FAR,
                    mount=mount,
                    **shader_of(self.look),
                )
            )
        return configs

    def _load_agent(self, options: dict[str, Any]) -> None:
        self.put_on_scene: Scene = options.get("scene") or draw_scene(self.split, int(self._episode_seed[0]))
        self.conditions = draw_conditions(self.spread, self.put_on_scene.seed)
        super()._load_agent(options, sapien.Pose())

    def _load_scene(self, options: dict[str, Any]) -> None:
        known, scene, now = catalogue(), self.put_on_scene, self.conditions
        self._table = build_table(self.scene, table_top(scene.table_texture))
        things = [(known.receptacle(p.name), p) for p in scene.receptacles]
        things += [(known.object(p.name), p) for p in scene.objects]
        self._things = {
            p.name: build_thing(
                self.scene,
                thing,
                pose_of(p),
                friction=now.friction,
                mass=now.mass,
                scanned=self.look == "scanned",
            )
            for thing, p in things
        }

    def _load_lighting(self, options: dict[str, Any]) -> None:
        add_lamps(self.scene.sub_scenes[0], lamps_of(self.put_on_scene.light))

    def _after_reconfigure(self, options: dict[str, Any]) -> None:
        links = [body.entity for link in self.agent.robot.links for body in link._objs]
        self._owners = owners_of(links, self._table, self._things)

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict[str, Any]) -> None:
        scene = self.put_on_scene
        self.agent.reset(joints_at_start(scene.start).astype(np.float32))
        for placement in (*scene.objects, *scene.receptacles):
            self._things[placement.name].set_pose(pose_of(placement))
        self.agent.behave(
            stiffness=self.conditions.stiffness,
            damping=self.conditions.damping,
            finger_speed=self.conditions.finger_speed,
        )
        self.progress = Progress()
        self._moved = scene.move is None
        self._control_steps = 0
        bodies = [thing._objs[0] for thing in self._things.values()]
        self._past = Past(self.agent.robot._objs[0], bodies)
        self._settle()

    def _settle(self) -> None:
        """Let things come to rest before the episode begins; the arm stands, its hand open."""
        self.agent.controller.reset()
        self.agent.set_action(torch.tensor([[0.0] * 6 + [gripper_action(OPEN_WIDTH)]]))
        for _ in range(SETTLING_STEPS):
            self.agent.before_simulation_step()
            self.scene.step()

    def _after_simulation_step(self) -> None:
        if self.conditions.camera_age > 0.0:
            self._past.remember(1.0 / PHYSICS_RATE_HZ)

    def _after_control_step(self) -> None:
        scene, move = self.put_on_scene, self.put_on_scene.move
        self._control_steps += 1
        if not self._moved and move is not None and self.seconds >= move.after:
            self._moved = True
            if not self._read_truth().is_grasped(move.to.name):
                self._things[move.to.name].set_pose(pose_of(move.to))
                self._things[move.to.name].set_linear_velocity(np.zeros(3))
                self._things[move.to.name].set_angular_velocity(np.zeros(3))
        self._truth = self._read_truth()
        self.progress = advance(self.progress, self._truth, scene)

    @property
    def seconds(self) -> float:
        """Since the episode began, the step that just ended included."""
        return self._control_steps / self.control_freq

    def truth(self) -> SceneTruth:
        """As it is after the last step."""
        return self._truth

    def _read_truth(self) -> SceneTruth:
        entities = {name: actor._objs[0] for name, actor in self._things.items()}
        bodies = {
            name: entity.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent)
            for name, entity in entities.items()
        }
        tcp = self.agent.tcp._objs[0].entity
        fingers = self.agent.robot.qpos[0, 7:9]
        return SceneTruth(
            time=self.seconds,
            poses={name: from_sapien(entity.pose) for name, entity in entities.items()},
            speeds={name: float(np.linalg.norm(body.linear_velocity)) for name, body in bodies.items()},
            contacts=touching(self.scene.px.get_contacts(), self._owners),
            tcp_pose=from_sapien(tcp.pose),
            commanded_tcp_pose=self.commanded_tcp_pose(),
            gripper_width=float(fingers.sum()),
        )

    def carry_out(self, action: torch.Tensor) -> None:
        """A step without what only Gymnasium's `step` needs: observation, reward, info."""
        self._step_action(action)
        self._elapsed_steps += 1

    def draw(self) -> dict[str, Drawn]:
        """Pictures, as old as the conditions say; where the things are only if a disturbance needs it."""
        with self._past.shown(self.conditions.camera_age):
            return self._draw_now()

    def _draw_now(self) -> dict[str, Drawn]:
        masks = self.put_on_scene.dynamic_texture is not None
        self.scene.update_render()
        drawn: dict[str, Drawn] = {}
        for name, sensor in self._sensors.items():
            sensor.capture()
            found = sensor.get_obs(rgb=True, depth=False, position=False, segmentation=masks)
            things = None
            if masks:
                table = int(self._table.per_scene_id[0])
                numbers = found["segmentation"][0, ..., 0].numpy()
                things = (numbers != 0) & (numbers != table)
            drawn[name] = Drawn(picture=found["rgb"][0].numpy(), things=things)
        return drawn

    def base_from_camera(self, name: str) -> Pose:
        """Where a camera really is in this episode, optical frame."""
        matrix = self._sensors[name].camera.get_extrinsic_matrix()[0].double().numpy()  # camera from base
        return Pose.from_matrix(np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])).inverse()

    def commanded_tcp_pose(self) -> Pose:
        return from_row(self.agent.controller.controllers["arm"]._target_pose.raw_pose[0].double().numpy())

    def get_info(self) -> dict[str, Any]:
        if int(self._elapsed_steps[0]) == 0:  # the controllers have been reset by now
            self._truth = self._read_truth()
        return super().get_info()

    def evaluate(self) -> dict[str, torch.Tensor]:
        return {"success": torch.tensor([self.progress.furthest is Stage.PLACE])}

    def _get_obs_extra(self, info: dict[str, Any]) -> dict[str, Any]:
        return {"tcp_pose": self.agent.tcp.pose.raw_pose}
