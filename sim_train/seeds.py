"""Which seeds are for what, so that no policy is judged on a scene that it was trained in.

They count the scenes of the put-on splits, whose seeds have no end. LIBERO has 50 official initial states per
task: those are for evaluation, and whoever trains on them says so.
"""

from sim_train.libero.tasks import INITIAL_STATES
from sim_train.libero.tasks import SUITES as LIBERO_SUITES

FIRST_EVALUATION_SEED = 1_000_000  # demonstrations, DAgger and reinforcement learning stay below it


def is_for_training(seed: int) -> bool:
    return 0 <= seed < FIRST_EVALUATION_SEED


def seeds_of(suite: str) -> int | None:
    """How many seeds an episode of this suite may name, from 0 on; None where there is no end."""
    return INITIAL_STATES if suite in LIBERO_SUITES else None
