"""The suites by name: which cameras, actions and state a policy of each has, and how long an episode is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from robot_contract.errors import SceneError, nearest_name
from robot_contract.policy_contract import (
    CameraContract,
    DeltaFrame,
    GripperContract,
    ProprioceptionField,
    Reference,
)
from robot_contract.pose import Pose
from sim_train.simulation import Simulation

if TYPE_CHECKING:
    from sim_train.vector import Cells


@dataclass(frozen=True, kw_only=True, eq=False)
class Suite:
    name: str
    tasks: tuple[str, ...]  # as `Episode.task` names them
    reference: Reference
    frame: DeltaFrame
    step_period: float  # [s]
    episode_steps: int  # at most, of the policy
    max_translation_per_step: float  # [m]
    max_rotation_per_step: float  # [rad]
    chunk_length: int
    flange_from_tcp: Pose
    gripper: GripperContract
    cameras: tuple[CameraContract, ...]  # all that a policy may ask for
    proprioception: tuple[ProprioceptionField, ...]
    proprioception_origin: Pose
    prompt_template: str
    open_simulation: Callable[[], Simulation]  # imports the simulator where it is called
    # So many cells in one simulation on a GPU; None where the suite's simulator knows none.
    open_batch: "Callable[[int], Cells] | None" = None


def suite_named(name: str) -> Suite:
    """The suite of this name; nothing of its simulator is imported yet."""
    from sim_train.libero.suite import libero_suite
    from sim_train.libero.tasks import SUITES as LIBERO_SUITES
    from sim_train.put_on.suite import SETTINGS, put_on_suite
    from sim_train.stand_in import STAND_IN

    suites: dict[str, Callable[[], Suite]] = {
        **{setting: partial(put_on_suite, setting) for setting in SETTINGS},
        "put-on-wrist": partial(put_on_suite, wrist_camera=True),
        "stand-in": lambda: STAND_IN,
        **{name: partial(libero_suite, name) for name in LIBERO_SUITES},
    }
    if name not in suites:
        raise SceneError(f"no suite named {name!r}; {nearest_name(name, suites)}")
    return suites[name]()
