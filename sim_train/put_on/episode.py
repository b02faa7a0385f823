"""One episode of put-on as the wire sees it: the same book-keeping whatever physics carries it out.

The gripper follows the bridge's own rule, the arm stands while an answer is awaited, a step earns what it
added, and pictures are cut, resized and noisy as a camera's are.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from robot_bridge.gripper_command import gripper_at_start, next_gripper_command
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.foresight import expert_chunk
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.success import Progress
from robot_bridge.scene.truth import SceneTruth
from robot_bridge.scene.wording import SEEN_TEMPLATES, instruction
from robot_contract.pose import Pose, Vector
from sim_train.put_on.arm import environment_action
from sim_train.put_on.cameras import PutOnCamera
from sim_train.put_on.marks import in_picture, marks_of
from sim_train.put_on.pictures import Drawn, Sensor
from sim_train.put_on.reward import Worth
from sim_train.put_on.suite import GRIPPER
from sim_train.simulation import Picture, Reading, Report

_DWELL = 0.2  # [s] between two changes of the gripper's command, as in the rigs


class PutOnEpisode:
    def __init__(self, scene: Scene, *, rate_hz: float, episode_steps: int) -> None:
        self.scene = scene
        self._rate_hz = rate_hz
        self._episode_steps = episode_steps
        self._sensor = Sensor(scene)
        self._gripper = gripper_at_start(1.0)
        self._steps = 0
        self._worth = Worth()
        self._was_asked = False

    def awaited_steps(self, delay_steps: int) -> int:
        """How long the arm stands before the next chunk: the answer to a picture takes its time."""
        steps = delay_steps if self._was_asked else 0
        self._was_asked = False
        return steps

    def standing(self) -> Vector:
        """The environment's action of a step in which the arm stands on its last target."""
        return environment_action(np.zeros(7), self._gripper.opening)

    def command(self, action: Vector) -> Vector:
        """The environment's action for the wire's."""
        self._gripper = next_gripper_command(
            float(action[6]), self._gripper, GRIPPER, now=self._steps / self._rate_hz, dwell=_DWELL
        )
        return environment_action(action, self._gripper.opening)

    def carried_out(self, truth: SceneTruth, progress: Progress) -> float:
        """A commanded step has been; what it earned."""
        self._steps += 1
        before = self._worth.value
        self._worth = self._worth.after(
            is_grasped=truth.is_grasped(self.scene.target_object),
            is_success=progress.succeeded_at is not None,
        )
        return self._worth.value - before

    def is_over(self, progress: Progress) -> bool:
        return progress.succeeded_at is not None or self._steps >= self._episode_steps

    def report(self, rewards: Sequence[float], progress: Progress) -> Report:
        first, named = progress.first_grasped, self.scene.target_object
        return Report(
            steps=len(rewards),
            rewards=np.array(rewards),
            succeeded=progress.succeeded_at is not None,
            is_over=self.is_over(progress),
            notes={
                "stage": float(progress.furthest),
                "grasped_named": float(first == named),
                "grasped_other": float(first not in (None, named)),
            },
        )

    def expose(self, drawn: Mapping[str, Drawn], *, size: int) -> dict[str, Picture]:
        self._was_asked = True
        return self._sensor.expose(drawn, size=size)

    def reading(self, truth: SceneTruth, joint_position: Vector) -> Reading:
        return Reading(
            tcp_pose=truth.tcp_pose,
            joint_position=joint_position,
            gripper_width=truth.gripper_width,
            gripper_command=self._gripper.opening,
        )

    def marks(self, truth: SceneTruth) -> Vector:
        return marks_of(truth, self.scene)

    def mark_pixels(
        self,
        truth: SceneTruth,
        cameras: Mapping[str, PutOnCamera],
        base_from_cameras: Mapping[str, Pose],
        *,
        field_of_view: float,
    ) -> dict[str, Vector]:
        """The field of view is a factor of the cameras' own."""
        marks = self.marks(truth)
        return {
            name: in_picture(
                marks,
                base_from_cameras[name],
                vertical_field_of_view=camera.vertical_field_of_view * field_of_view,
                aspect=camera.width / camera.height,
            )
            for name, camera in cameras.items()
        }

    def other_instructions(self) -> tuple[str, ...]:
        known, place = catalogue(), self.scene.receptacle
        return tuple(
            instruction(SEEN_TEMPLATES[0], known.object(name), place) for name in self.scene.distractors
        )

    def expert(self, truth: SceneTruth, steps: int) -> Vector:
        if steps == 1:
            return expert_action(truth, self.scene)[None]
        return expert_chunk(truth, self.scene, steps)
