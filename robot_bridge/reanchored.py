"""A chunk whose deltas start from wherever the arm is when their step begins (`measured_each_step`).

LIBERO's controller and ManiSkill with `use_target=False` work so: a delta becomes a target once, at the
measured pose, and that target stands for the whole step.
"""

from dataclasses import dataclass

import numpy as np

from robot_contract.messages import ActionChunk
from robot_contract.pose import Pose, apply_delta


@dataclass(kw_only=True, eq=False)
class ReanchoredChunk:
    chunk: ActionChunk
    begins_at: float  # [s], bridge clock
    step_period: float  # [s]
    steps: int  # of the chunk's actions, how many are carried out
    next_step: int  # the first one not used
    step: int = -1  # the one that stands
    target: Pose | None = None
    skipped: int = 0  # deltas whose step passed without a tick in it

    @property
    def ends_at(self) -> float:
        return self.begins_at + self.steps * self.step_period

    def due_step(self, at: float) -> int:
        return int(np.floor((at - self.begins_at) / self.step_period + 1e-9))

    def is_due(self, at: float) -> bool:
        """Has a step begun whose delta is unused?"""
        return self.next_step <= self.due_step(at) and self.next_step < self.steps

    def pose_at(self, at: float, measured: Pose, frame: str) -> Pose | None:
        """The standing target; the delta of a step that has just begun is used here, and never again."""
        due = self.due_step(at)
        if self.next_step <= due < self.steps:
            self.skipped += due - self.next_step
            self.step, self.next_step = due, due + 1
            action = self.chunk.actions[due]
            self.target = apply_delta(measured, action[:3], action[3:6], frame)
        return self.target

    def opening_at(self, at: float) -> float:
        return float(self.chunk.actions[min(max(self.due_step(at), 0), self.steps - 1), 6])
