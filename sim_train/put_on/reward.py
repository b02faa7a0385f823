"""The reward of put-on, after RL4VLA: a little for the named object in the hand, more when it stays there,
most for success. What a step earns is what it added."""

from dataclasses import dataclass

GRASPED, KEPT, SUCCEEDED = 0.1, 0.1, 1.0
KEPT_STEPS = 5  # in the hand without a break


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What has been reached so far, folded step by step."""

    grasped_steps: int = 0  # without a break, up to now
    value: float = 0.0

    def after(self, *, is_grasped: bool, is_success: bool) -> "Worth":
        steps = self.grasped_steps + 1 if is_grasped else 0
        value = GRASPED * is_grasped + KEPT * (steps >= KEPT_STEPS) + SUCCEEDED * is_success
        return Worth(grasped_steps=steps, value=value)
