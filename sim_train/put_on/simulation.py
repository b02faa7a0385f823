"""Put-on as a `Simulation`: the wire's actions in, carried out as the bridge would.

Deltas chain from the commanded pose, the gripper follows the bridge's own rule, and pictures are cut, resized
and noisy as a camera's are.
"""

import gc
from collections.abc import Mapping

import numpy as np
import torch

from robot_bridge.gripper_command import gripper_at_start, next_gripper_command
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.foresight import expert_chunk
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.wording import SEEN_TEMPLATES, instruction
from robot_contract.pose import Vector
from sim_train.put_on.arm import environment_action
from sim_train.put_on.cameras import PutOnCamera
from sim_train.put_on.conditions import Spread
from sim_train.put_on.environment import Look, PutOnEnv
from sim_train.put_on.marks import in_picture, marks_of
from sim_train.put_on.pictures import Sensor
from sim_train.put_on.reward import Worth
from sim_train.put_on.suite import GRIPPER
from sim_train.simulation import Episode, Picture, Reading, Report

_STAND = np.zeros(7)
_DWELL = 0.2  # [s] between two changes of the gripper's command, as in the rigs


class PutOnSimulation:
    def __init__(
        self,
        cameras: dict[str, PutOnCamera],
        *,
        size: int,
        look: Look = "fast",
        conditions: Spread | None = None,
        episode_steps: int = EPISODE_STEPS,
        rate_hz: float = CONTROL_RATE_HZ,
    ) -> None:
        torch.set_num_threads(1)
        self._cameras = cameras
        self._size = size
        self._episode_steps = episode_steps
        self._rate_hz = rate_hz
        self._env = PutOnEnv(
            obs_mode="none",
            reward_mode="none",
            look=look,
            cameras=cameras,
            conditions=conditions,
            sim_config={"control_freq": int(rate_hz)},
        )
        # ManiSkill collects garbage at every reset; what the libraries hold for good need not be searched.
        gc.freeze()

    def reset(self, episode: Episode) -> None:
        scene = draw_scene(episode.task, episode.seed)
        self._env.reset(seed=episode.seed % 2**31, options={"scene": scene, "reconfigure": True})
        self._scene = scene
        self._sensor = Sensor(scene)
        self._gripper = gripper_at_start(1.0)
        self._steps = 0
        self._worth = Worth()
        self._was_asked = False

    @property
    def instruction(self) -> str:
        return self._scene.instruction

    def step(self, actions: Vector) -> Report:
        rewards: list[float] = []
        if self._was_asked:  # the answer takes its time; the arm stands on its last target until it comes
            for _ in range(self._env.conditions.delay_steps):
                self._carry_out(_STAND)
        self._was_asked = False
        for action in actions:
            if self._is_over():
                break
            self._gripper = next_gripper_command(
                float(action[6]), self._gripper, GRIPPER, now=self._steps / self._rate_hz, dwell=_DWELL
            )
            self._carry_out(action)
            self._steps += 1
            truth = self._env.truth()
            before = self._worth.value
            self._worth = self._worth.after(
                is_grasped=truth.is_grasped(self._scene.target_object), is_success=self._has_succeeded()
            )
            rewards.append(self._worth.value - before)
        progress = self._env.progress
        first, named = progress.first_grasped, self._scene.target_object
        return Report(
            steps=len(rewards),
            rewards=np.array(rewards),
            succeeded=self._has_succeeded(),
            is_over=self._is_over(),
            notes={
                "stage": float(progress.furthest),
                "grasped_named": float(first == named),
                "grasped_other": float(first not in (None, named)),
            },
        )

    def _carry_out(self, action: Vector) -> None:
        wanted = environment_action(action, self._gripper.opening)
        self._env.carry_out(torch.tensor(wanted[None], dtype=torch.float32))

    def _has_succeeded(self) -> bool:
        return self._env.progress.succeeded_at is not None

    def _is_over(self) -> bool:
        return self._has_succeeded() or self._steps >= self._episode_steps

    def look(self) -> Mapping[str, Picture]:
        self._was_asked = True
        return self._sensor.expose(self._env.draw(), size=self._size)

    def read(self) -> Reading:
        truth = self._env.truth()
        return Reading(
            tcp_pose=truth.tcp_pose,
            joint_position=self._env.agent.robot.qpos[0, :7].double().numpy(),
            gripper_width=truth.gripper_width,
            gripper_command=self._gripper.opening,
        )

    def marks(self) -> Vector:
        return marks_of(self._env.truth(), self._scene)

    def mark_pixels(self) -> Mapping[str, Vector]:
        marks = self.marks()
        return {
            name: in_picture(
                marks,
                self._env.base_from_camera(name),
                vertical_field_of_view=camera.vertical_field_of_view,
                aspect=camera.width / camera.height,
            )
            for name, camera in self._cameras.items()
        }

    def other_instructions(self) -> tuple[str, ...]:
        known, place = catalogue(), self._scene.receptacle
        return tuple(
            instruction(SEEN_TEMPLATES[0], known.object(name), place) for name in self._scene.distractors
        )

    def expert(self, steps: int) -> Vector:
        truth = self._env.truth()
        if steps == 1:
            return expert_action(truth, self._scene)[None]
        return expert_chunk(truth, self._scene, steps)

    def close(self) -> None:
        self._env.close()
