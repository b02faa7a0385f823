"""A checkpoint of random weights that fits a suite: whole and valid, and it has learned nothing.

What is built on checkpoints is tried with it; its rate is what a policy has before any training.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from policy_server.checkpoint import Checkpoint, save_checkpoint
from policy_server.model.policy import build_policy
from policy_server.model.presets import TINY
from policy_server.model.tokenizer import word_tokenizer
from sim_train.suite_contract import contract_of_suite
from sim_train.suites import Suite

_WORDS = "put the red green blue yellow white black cube ball can box bottle block plate tray bowl pad on in"


def make_untrained_checkpoint(
    path: Path, suite: Suite, *, head: Literal["l1", "laplace", "tokens"] = "l1", seed: int = 0
) -> Checkpoint:
    """Of the tiny size, with the suite's first camera; the same seed gives the same folder."""
    provenance = f"random, seed {seed}: not trained"
    contract = contract_of_suite(
        suite,
        name=path.name,
        cameras=[suite.cameras[0].name],
        provenance=(("weights", provenance),),
    )
    config = replace(
        TINY,
        head=head,
        language=replace(TINY.language, lm_head=head == "tokens"),
        cameras=1,
        proprio_size=contract.proprioception_width,
    )
    return save_checkpoint(
        path,
        contract=contract,
        config=config,
        tensors=build_policy(config, seed=seed).state_dict().items(),
        tokenizer=word_tokenizer([_WORDS], config.tokens),
        report={"weights": provenance, "evaluations": {}},
    )
