"""Ask freshly written weights for their golden chunk, and find out how near other number formats come.

Everything is decided in normalised units (the whole range is 2) and stored in physical ones.
"""

from pathlib import Path

import numpy as np
import torch

from policy_server.eager_policy import EagerPolicy
from policy_server.golden import Golden, golden_observation
from policy_server.model.config import ModelConfig
from policy_server.model.distributions import BinDistribution
from policy_server.model.model_input import ModelInput
from policy_server.model.policy import OftPolicy
from policy_server.preprocessing import Tokenizer
from policy_server.weights import read_tensors, weight_files
from robot_contract.errors import ContractError, PolicyUnavailable
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Vector

# A model that fills more answers once, as it is stored: a second copy is more memory than was promised.
SMALL_MODEL_BYTES = 32_000_000

_FLOORS = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.06}
_LOGIT_NOISE = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.3}  # bins this near to the best may win


def make_golden(
    folder: Path, contract: PolicyContract, config: ModelConfig, tokenizer: Tokenizer, *, device: str = "cpu"
) -> Golden:
    """In float32 where that is cheap, with the distance of bfloat16 measured; else as stored."""
    observation = golden_observation(contract)

    def load(dtype: torch.dtype | None) -> EagerPolicy:
        policy = OftPolicy.on_meta(config)
        policy.adopt(dict(read_tensors(folder, device=device, dtype=dtype, mapped=True)))
        return EagerPolicy(contract, policy.without_auxiliary(), tokenizer)

    is_small = sum(file.stat().st_size for file in weight_files(folder)) <= SMALL_MODEL_BYTES
    eager = load(torch.float32 if is_small else None)
    try:
        actions = eager.predict(observation)
    except PolicyUnavailable as error:
        raise ContractError(f"these weights cannot be saved as a policy: {error}") from None
    made_in = str(next(eager.policy.parameters()).dtype).removeprefix("torch.")
    nearest = {dtype: max(floor, _FLOORS[made_in]) for dtype, floor in _FLOORS.items()}
    tolerance = {dtype: _physical(np.full(7, floor), contract) for dtype, floor in nearest.items()}
    if config.head == "tokens":
        x = eager.preprocessor.prepare([observation])
        for dtype in _FLOORS:
            noise = max(_LOGIT_NOISE[dtype], _LOGIT_NOISE[made_in])
            rivals = _rivals(eager, x, noise) if config.mode == "oft" else _all_bins(dtype, made_in)
            tolerance[dtype] = tolerance[dtype] + _physical(rivals, contract)
    elif is_small:
        measured = np.abs(load(torch.bfloat16).predict(observation) - actions).max(axis=0)
        tolerance["bfloat16"] = np.maximum(tolerance["bfloat16"], 4.0 * measured)
    return Golden(
        observation=observation,
        actions=actions,
        tolerance={
            f"{device}/{dtype}": bound for device in ("cpu", "cuda") for dtype, bound in tolerance.items()
        },
    )


def _physical(normalised: Vector, contract: PolicyContract) -> Vector:
    """In physical units; a translation and a rotation are one length each, for a step is shortened whole."""
    statistics = contract.statistics
    half_range = np.where(statistics.action_mask, 0.5 * (statistics.action_high - statistics.action_low), 1.0)
    bounds = normalised * half_range
    for part in (slice(0, 3), slice(3, 6)):
        bounds[part] = np.linalg.norm(bounds[part])
    return bounds


def _rivals(eager: EagerPolicy, x: ModelInput, noise: float) -> Vector:
    """How far the bins lie that could win by `noise` in the logits, per entry of an action."""
    policy = eager.policy
    with torch.inference_mode():
        said = policy.distribution(policy.features(x).rows)
        assert isinstance(said, BinDistribution), "a token head says bins"
        bins = torch.arange(said.log_probs.shape[-1], device=said.log_probs.device)
        distance = (said.actions(bins) - said.actions(said.mode()).unsqueeze(-1)).abs()
        near = said.log_probs >= said.log_probs.amax(dim=-1, keepdim=True) - noise
        return torch.where(near, distance, 0.0).amax(dim=(0, 1, 3)).to("cpu", torch.float64).numpy()


def _all_bins(dtype: str, made_in: str) -> Vector:
    """One other token changes all that follow it, so a rounder format may answer anything at all."""
    return np.full(7, 0.0 if dtype == made_in == "float32" else 2.0)
