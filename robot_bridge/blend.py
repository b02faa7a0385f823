"""The way from one plan into the next, without a jump: absolute poses only, never the gripper."""

from dataclasses import dataclass

from robot_bridge.plan import Plan
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, angle_between, distance_between, interpolate

_DEEPEST = 3  # blends within blends; further back the old way is taken as standing still


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    plan: Plan
    before: "Curve | Pose | None" = None  # where it comes from; None: no blend
    blend_begins_at: float = 0.0  # [s]
    blend_seconds: float = 1.0  # [s]
    depth: int = 0

    def pose_at(self, at: float) -> Pose:
        new = self.plan.pose_at(at)
        s = (at - self.blend_begins_at) / self.blend_seconds
        if self.before is None or not s < 1.0:
            return new
        s = max(s, 0.0)
        old = self.before if isinstance(self.before, Pose) else self.before.pose_at(at)
        return interpolate(old, new, s * s * (3 - 2 * s))

    def past(self, at: float) -> "Curve | Pose":
        """This curve as the past of another one that takes over at that instant."""
        if self.before is None or at - self.blend_begins_at >= self.blend_seconds:
            return Curve(plan=self.plan)
        return self if self.depth < _DEEPEST else self.pose_at(at)


def blend_into(
    plan: Plan, before: Curve | Pose, *, at: float, contract: PolicyContract, step_period: float
) -> Curve:
    """A blend of one step; longer when the gap would ask for more than the policy's own speed."""
    past = before if isinstance(before, Pose) else before.past(at)
    start = past if isinstance(past, Pose) else past.pose_at(at)
    end = plan.pose_at(at)
    steps = max(
        1.0,
        distance_between(start, end) / contract.max_translation_per_step,
        angle_between(start, end) / contract.max_rotation_per_step,
    )
    return Curve(
        plan=plan,
        before=past,
        blend_begins_at=at,
        blend_seconds=steps * step_period,
        depth=past.depth + 1 if isinstance(past, Curve) else 0,
    )
