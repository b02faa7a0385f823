"""Under which conditions episodes were run: two episodes are counted together only if these are equal."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from robot_contract.errors import StudyError

Decoding = Literal["greedy", "sampled", "expert"]  # the scripted expert knows no likelihoods
Instruct = Literal["named", "other"]
Way = Literal["simulation", "gpu", "bridge"]  # `gpu`: batched physics, another PhysX than a CPU's


@dataclass(frozen=True, kw_only=True)
class Settings:
    checkpoint: str  # the policy's name or folder, for people
    policy_digest: str  # weights, statistics and contract, as they were saved
    suite: str
    decoding: Decoding
    temperature: float | None  # of sampling; None when greedy
    sampling_seed: int | None
    execute_steps: int  # of each chunk
    instruct: Instruct
    way: Way
    latency: float | None  # [s] simulated, from question to answer; None where none is charged
    served: bool  # asked over gRPC

    def __post_init__(self) -> None:
        is_sampled = self.decoding == "sampled"
        if is_sampled != (self.temperature is not None) or is_sampled != (self.sampling_seed is not None):
            raise StudyError(
                f"decoding is {self.decoding}, temperature {self.temperature}, sampling seed"
                f" {self.sampling_seed}: both belong to sampling, and to nothing else"
            )
        if (self.way == "bridge") != (self.latency is not None):
            raise StudyError(f"latency is {self.latency} by way of the {self.way}: it belongs to the bridge")

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def key(self) -> str:
        """Names the place where these episodes are kept; the checkpoint's own name decides nothing."""
        decisive = {name: value for name, value in asdict(self).items() if name != "checkpoint"}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def title(self) -> str:
        """In words, for tables and reports."""
        parts = [
            self.suite,
            self.decoding if self.temperature is None else f"sampled at {self.temperature:g}",
        ]
        if self.way == "bridge":
            parts.append(f"through the bridge, {self.latency:g} s latency")
        if self.way == "gpu":
            parts.append("physics on a GPU")
        if self.served:
            parts.append("served")
        if self.instruct == "other":
            parts.append("told of another object")
        return ", ".join([*parts, f"{self.execute_steps} steps a chunk"])


def difference(ours: Settings, found: dict[str, Any]) -> str:
    """What differs, in words; empty when these episodes may be counted together."""
    mine = ours.document()
    names = [name for name in {**mine, **found} if name != "checkpoint" and mine.get(name) != found.get(name)]
    return "; ".join(f"{name}: here {mine.get(name)!r}, there {found.get(name)!r}" for name in sorted(names))
