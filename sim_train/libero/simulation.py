"""LIBERO as a `Simulation`: the wire's actions in, official initial states, a published protocol's settling.

One task's environment is kept; an episode of another task makes that one's, which takes some seconds.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from robot_bridge.gripper_command import gripper_at_start, next_gripper_command
from robot_contract.errors import SceneError
from robot_contract.pose import Pose, Vector
from sim_train.libero import goal
from sim_train.libero.actions import STEP_PERIOD, gripper_contract, to_environment
from sim_train.libero.cell import Cell
from sim_train.libero.expert import action_towards, keep_or_choose, wish
from sim_train.libero.expert_view import see
from sim_train.libero.grasp import Grasp
from sim_train.libero.pictures import drawn_as, in_drawn
from sim_train.libero.prediction import predict
from sim_train.libero.protocols import Protocol
from sim_train.libero.suite import base_from_world
from sim_train.libero.tasks import INITIAL_STATES, SUITES, find_task
from sim_train.simulation import Episode, Picture, Reading, Report

T = TypeVar("T")
_CAMERAS = {"external": "agentview", "wrist": "robot0_eye_in_hand"}


class LiberoSimulation:
    def __init__(self, suite: str, protocol: Protocol) -> None:
        assert suite in SUITES
        self._suite = suite
        self._protocol = protocol
        self._gripper_rule = gripper_contract(protocol.gripper_threshold)
        self._base_from_world = base_from_world(suite)
        self._held: Cell | None = None
        self._grasp: Grasp | None = None

    def reset(self, episode: Episode) -> None:
        if episode.suite != self._suite:
            raise SceneError(f"this simulation is of {self._suite}, the episode of {episode.suite}")
        task = find_task(episode.suite, episode.task)
        if not 0 <= episode.seed < INITIAL_STATES:
            raise SceneError(
                f"{episode.suite} task {episode.task}: initial state {episode.seed} was asked for;"
                f" there are 0 to {INITIAL_STATES - 1}"
            )
        if self._held is None or self._held.task != task:
            self.close()
            self._held = Cell(task, self._protocol)
        self._held.reset(episode.seed)
        self._gripper = gripper_at_start(1.0)
        self._steps = 0
        self._succeeded = False
        self._grasp = None

    @property
    def instruction(self) -> str:
        return self._cell.task.instruction

    def step(self, actions: Vector) -> Report:
        rewards: list[float] = []
        for action in np.asarray(actions, dtype=np.float64):
            if self._is_over():
                break
            self._gripper = self._gripper_after(action)
            self._succeeded = self._cell.step(to_environment(action, not self._gripper.closed))
            self._steps += 1
            rewards.append(float(self._succeeded))
        return Report(
            steps=len(rewards),
            rewards=np.array(rewards),
            succeeded=self._succeeded,
            is_over=self._is_over(),
        )

    def look(self) -> Mapping[str, Picture]:
        size, turned = self._protocol.picture_size, self._protocol.turned
        return {
            name: drawn_as(self._cell.draw(camera, size), turned=turned) for name, camera in _CAMERAS.items()
        }

    def read(self) -> Reading:
        data, robot = self._cell.data, self._cell.robot
        site = data.site("gripper0_grip_site").xpos
        hand = data.body("robot0_right_hand").xquat  # w x y z
        world_from_tcp = Pose(position=site, quaternion=np.roll(hand, -1))
        fingers = data.qpos[robot._ref_gripper_joint_pos_indexes]
        return Reading(
            tcp_pose=self._base_from_world @ world_from_tcp,
            joint_position=data.qpos[robot._ref_joint_pos_indexes].copy(),
            gripper_width=float(fingers[0] - fingers[1]),
            gripper_command=self._gripper.opening,
        )

    def marks(self) -> Vector:
        return goal.marks(self._cell) + self._base_from_world.position

    def mark_pixels(self) -> Mapping[str, Vector]:
        points = goal.marks(self._cell)
        return {
            name: in_drawn(points, self._cell, camera, turned=self._protocol.turned)
            for name, camera in _CAMERAS.items()
        }

    def other_instructions(self) -> tuple[str, ...]:
        return goal.other_instructions(self._cell, self._cell.task)

    def expert(self, steps: int) -> Vector:
        if self._cell.task.suite not in goal.EXPERT_SUITES:
            raise SceneError(
                f"{self._cell.task.suite} has no scripted expert; {' and '.join(goal.EXPERT_SUITES)} have"
            )
        view = see(self._cell, self._gripper.closed)
        self._grasp = grasp = keep_or_choose(view, self._grasp)
        actions: list[Vector] = []
        for _ in range(steps):
            actions.append(action_towards(view, wish(view, grasp)))
            view = predict(view, actions[-1], grasp)
        return np.array(actions)

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = None

    @property
    def _cell(self) -> Cell:
        assert self._held is not None, "reset comes first"
        return self._held

    def _gripper_after(self, action: Vector):
        now = self._steps * STEP_PERIOD
        return next_gripper_command(float(action[6]), self._gripper, self._gripper_rule, now=now, dwell=0.0)

    def _is_over(self) -> bool:
        return self._succeeded or self._steps >= self._protocol.step_limits[self._cell.task.suite]
