"""Put-on as a `Simulation`: one cell with physics of its own on the CPU.

The wire's actions are carried out as the bridge would: deltas chain from the commanded pose.
"""

import gc
from collections.abc import Mapping

import torch

from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS
from robot_bridge.scene.splits import draw_scene
from robot_contract.pose import Vector
from sim_train.put_on.cameras import PutOnCamera
from sim_train.put_on.conditions import Spread
from sim_train.put_on.environment import PutOnEnv
from sim_train.put_on.episode import PutOnEpisode
from sim_train.put_on.world import Look
from sim_train.simulation import Episode, Picture, Reading, Report


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
        self._episode = PutOnEpisode(scene, rate_hz=self._rate_hz, episode_steps=self._episode_steps)

    @property
    def instruction(self) -> str:
        return self._episode.scene.instruction

    def step(self, actions: Vector) -> Report:
        rewards: list[float] = []
        for _ in range(self._episode.awaited_steps(self._env.conditions.delay_steps)):
            self._carry_out(self._episode.standing())
        for action in actions:
            if self._episode.is_over(self._env.progress):
                break
            self._carry_out(self._episode.command(action))
            rewards.append(self._episode.carried_out(self._env.truth(), self._env.progress))
        return self._episode.report(rewards, self._env.progress)

    def _carry_out(self, wanted: Vector) -> None:
        self._env.carry_out(torch.tensor(wanted[None], dtype=torch.float32))

    def look(self) -> Mapping[str, Picture]:
        return self._episode.expose(self._env.draw(), size=self._size)

    def read(self) -> Reading:
        joints = self._env.agent.robot.qpos[0, :7].double().numpy()
        return self._episode.reading(self._env.truth(), joints)

    def marks(self) -> Vector:
        return self._episode.marks(self._env.truth())

    def mark_pixels(self) -> Mapping[str, Vector]:
        poses = {name: self._env.base_from_camera(name) for name in self._cameras}
        factor = self._env.conditions.field_of_view
        return self._episode.mark_pixels(self._env.truth(), self._cameras, poses, field_of_view=factor)

    def other_instructions(self) -> tuple[str, ...]:
        return self._episode.other_instructions()

    def expert(self, steps: int) -> Vector:
        return self._episode.expert(self._env.truth(), steps)

    def close(self) -> None:
        self._env.close()
