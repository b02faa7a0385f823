"""The contract of a policy that is trained on a suite: the suite's semantics, the data's statistics."""

from collections.abc import Sequence

import numpy as np

from policy_server.checkpoint import UNSAVED_DIGEST
from robot_contract.errors import ContractError, nearest_name
from robot_contract.policy_contract import (
    PROPRIOCEPTION_WIDTHS,
    Normalisation,
    PolicyContract,
    ProprioceptionField,
    Statistics,
)
from sim_train.suites import Suite

MAX_CAMERA_SKEW = 0.05  # [s]; a simulator's cameras see one instant


def contract_of_suite(
    suite: Suite,
    *,
    name: str,
    cameras: Sequence[str],
    proprioception: Sequence[ProprioceptionField] | None = None,
    statistics: Statistics | None = None,
    normalisation: Normalisation = "bounds",
    provenance: tuple[tuple[str, str], ...] = (),
) -> PolicyContract:
    """Without `statistics`, with such as change nothing: for reading data that gives the real ones."""
    known = {camera.name: camera for camera in suite.cameras}
    for camera in cameras:
        if camera not in known:
            raise ContractError(f"suite {suite.name}: no camera {camera!r}; {nearest_name(camera, known)}")
    fields = suite.proprioception if proprioception is None else tuple(proprioception)
    width = sum(PROPRIOCEPTION_WIDTHS[field] for field in fields)
    return PolicyContract(
        name=name,
        reference=suite.reference,
        frame=suite.frame,
        execution="synchronous",
        step_period=suite.step_period,
        chunk_length=suite.chunk_length,
        execute_steps=suite.chunk_length,
        trained_delay_steps=0,
        time_stretch=1.0,
        max_translation_per_step=suite.max_translation_per_step,
        max_rotation_per_step=suite.max_rotation_per_step,
        flange_from_tcp=suite.flange_from_tcp,
        gripper=suite.gripper,
        cameras=tuple(known[camera] for camera in cameras),
        max_camera_skew=MAX_CAMERA_SKEW,
        proprioception=fields,
        proprioception_origin=suite.proprioception_origin,
        prompt_template=suite.prompt_template,
        normalisation=normalisation,
        statistics=statistics
        or Statistics(
            action_low=np.full(7, -1.0),
            action_high=np.ones(7),
            action_mask=(True,) * 6 + (False,),
            proprioception_low=np.full(width, -1.0),
            proprioception_high=np.ones(width),
        ),
        weights_digest=UNSAVED_DIGEST,
        provenance=provenance,
    )
