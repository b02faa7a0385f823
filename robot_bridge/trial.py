"""The trial that is prepared or under way: what was asked for, and what happened in it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from robot_bridge.records import TrialBegins
from robot_bridge.rig import Rig
from robot_contract.messages import TrialSetup, VerdictKind
from robot_contract.policy_contract import PolicyContract

VERDICT_KINDS: tuple[VerdictKind, ...] = get_args(VerdictKind)


def _no_verdicts() -> dict[VerdictKind, int]:
    return dict.fromkeys(VERDICT_KINDS, 0)


@dataclass(kw_only=True, eq=False)
class Trial:
    """Changed by the control thread only."""

    setup: TrialSetup
    contract: PolicyContract
    instruction: str
    calibration_digests: Mapping[str, str] = field(default_factory=dict[str, str])  # by camera
    scene: str = ""  # canonical JSON of a simulated robot's scene
    has_begun: bool = False
    has_ended: bool = False
    elapsed: float = 0.0  # [s] in RUNNING
    sessions: int = 0
    late_chunks: int = 0
    verdict_counts: dict[VerdictKind, int] = field(default_factory=_no_verdicts)

    @property
    def is_recorded(self) -> bool:
        return self.setup.record and self.has_begun and not self.has_ended


def trial_begins(trial: Trial, rig: Rig, now: float) -> TrialBegins:
    """The first record of a trial."""
    return TrialBegins(
        at=now,
        wall_time=time.time(),
        setup=trial.setup,
        instruction=trial.instruction,
        contract=trial.contract,
        rig=rig.name,
        rig_digest=rig.digest,
        limits=rig.limits,
        limits_digest=rig.limits_digest,
        calibration_digests=dict(trial.calibration_digests),
        scene=trial.scene,
    )
