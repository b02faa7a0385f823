"""How long a policy has pressed against a limit: more seconds with than without, since the trial began."""

from collections.abc import Sequence

# A policy is clamped by these all the time, for smoothness; by anything else only when it presses on.
_SMOOTHING = frozenset(
    {"jerk", "acceleration", "speed", "behind", "angular_jerk", "angular_acceleration", "angular_speed"}
)


class Pressing:
    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, codes: Sequence[str], seconds: float) -> None:
        """Count one tick by the reasons of its verdict."""
        self.seconds = max(self.seconds + (seconds if presses_on(codes) else -seconds), 0.0)

    def forget(self) -> None:
        self.seconds = 0.0


def presses_on(codes: Sequence[str]) -> bool:
    """Is this more than smoothing: a wall, a keep-out, the joint range, the leash?"""
    return any(code not in _SMOOTHING for code in codes)
