"""Training learns where things are, goes on to the same numbers, and gives what the server then serves."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from short_run import SHORT, last_state, run

from policy_server.checkpoint import open_checkpoint
from policy_server.model.lora import adapted_layers
from policy_server.server_process import ServerProcess
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import ContractError
from sim_train.export import export_run, trained_policy
from sim_train.sft.run_folder import RunFolder

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def straight(few_demonstrations: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run(few_demonstrations, tmp_path_factory.mktemp("runs") / "straight")


def test_the_maps_find_the_named_thing_within_a_minute(demonstrations: Path, tmp_path: Path) -> None:
    folder = run(
        demonstrations,
        tmp_path / "run",
        steps=54,
        batch=32,
        warm_up=20,
        validation_share=0.0,
        log_every=6,
        save_every=54,
    )
    rows = folder.metrics()
    assert rows[0]["heat_maps"] == pytest.approx(np.log(64), abs=0.1)
    assert rows[-1]["heat_maps"] < 3.3
    assert rows[-1]["action"] < 0.9 * rows[0]["action"]
    assert rows[-1]["approach_xy"] > 0.0
    assert rows[-1]["approach_object"] > 0.0


def test_stopped_and_gone_on_with_a_run_ends_with_the_same_bits(
    straight: RunFolder, few_demonstrations: Path, tmp_path: Path
) -> None:
    run(few_demonstrations, tmp_path / "halves", stop_after=2)
    halves = run(few_demonstrations, tmp_path / "halves")
    assert halves.steps() == straight.steps() == [2, 4]
    once, twice = last_state(straight), last_state(halves)
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[key], twice[key]) for key in once)
    assert [row["step"] for row in halves.metrics()] == [2, 4]
    for before, after in zip(straight.metrics(), halves.metrics()):
        assert before["total"] == after["total"]
        assert before["validation/approach_xy"] == after["validation/approach_xy"]
    assert len(halves.record().commands) == 2


def test_a_run_killed_while_it_logs_goes_on_from_its_last_state(
    straight: RunFolder, few_demonstrations: Path, tmp_path: Path
) -> None:
    """Lines of steps that no state remembers are written again, not twice."""
    folder = run(few_demonstrations, tmp_path / "killed")
    folder.state_file(4).unlink()
    folder.state_file(4).with_suffix(".partial").write_bytes(b"half a file")
    run(few_demonstrations, tmp_path / "killed")
    assert [row["step"] for row in folder.metrics()] == [2, 4]
    assert all(torch.equal(tensor, last_state(folder)[key]) for key, tensor in last_state(straight).items())


def test_another_recipe_does_not_go_on_with_a_run(straight: RunFolder, few_demonstrations: Path) -> None:
    with pytest.raises(ContractError, match=r"this run has another recipe; .* or choose another --out"):
        run(few_demonstrations, straight.path, steps=6)


def test_a_folder_of_something_else_is_left_alone(few_demonstrations: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/a.txt").write_text("dear")
    with pytest.raises(ContractError, match=r"expected a new folder or a run's, found a\.txt"):
        run(few_demonstrations, tmp_path / "letters")


def test_micro_batches_add_up_to_the_batch(
    straight: RunFolder, few_demonstrations: Path, tmp_path: Path
) -> None:
    parts = run(few_demonstrations, tmp_path / "parts", accumulate=2, validation_share=0.25)
    for whole, added in zip(straight.metrics(), parts.metrics()):
        for name in ("total", "action", "heat_maps", "positions", "approach_xy", "approach_object"):
            assert added[name] == pytest.approx(whole[name], rel=2e-3), name


@pytest.mark.parametrize("head", ["tokens", "laplace"])
def test_the_other_heads_learn_their_likelihood(few_demonstrations: Path, tmp_path: Path, head: str) -> None:
    rows = run(few_demonstrations, tmp_path / head, head=head, steps=8, muon_rate=1e-2).metrics()
    assert rows[-1]["action"] < rows[0]["action"]
    if head == "tokens":
        assert rows[0]["action"] == pytest.approx(np.log(256), abs=0.7)


def test_old_states_make_room(few_demonstrations: Path, tmp_path: Path) -> None:
    assert run(few_demonstrations, tmp_path / "run", keep=1).steps() == [4]


def test_what_is_exported_is_what_was_trained_and_the_server_serves_it(
    straight: RunFolder, tmp_path: Path
) -> None:
    checkpoint = export_run(straight.path, tmp_path / "policy", name="learner")
    policy = trained_policy(straight, 4).eval()
    golden = checkpoint.golden.observation
    eager = checkpoint.load_eager()
    with torch.no_grad():
        said = policy(eager.preprocessor.prepare([golden])).actions
        assert torch.equal(said, eager.policy(eager.preprocessor.prepare([golden])).actions)
    report = open_checkpoint(tmp_path / "policy").report
    assert report["trained"]["samples"] == 16
    assert report["trained"]["commands"] == ["sim-train sft tiny-put-on"]
    assert report["data"]["sha256"] == dict(straight.record().data)
    assert report["evaluations"] == {}
    assert report["errors"]["step"] == 4
    asked = dataclasses.replace(golden, policy="learner", session="robot", deadline=30.0)
    with (
        ServerProcess([str(tmp_path / "policy")]) as server,
        BlockingPolicyClient(server.address) as client,
    ):
        chunk = client.predict(asked)
        assert client.get_contract("learner").policy_digest == checkpoint.contract.policy_digest
    np.testing.assert_allclose(chunk.actions, eager.predict(golden), atol=1e-5)


def test_half_precision_halves_the_file_and_an_earlier_step_can_be_had(
    straight: RunFolder, tmp_path: Path
) -> None:
    checkpoint = export_run(straight.path, tmp_path / "half", step=2, dtype=torch.float16)
    size = sum(file.stat().st_size for file in checkpoint.path.rglob("*") if file.is_file())
    assert size < 3_500_000
    assert checkpoint.report["trained"]["steps"] == 2
    with pytest.raises(ContractError, match=r"step: expected one of \[2, 4\], found 3"):
        export_run(straight.path, tmp_path / "none", step=3)


def test_words_that_training_never_says_are_tokens_too(straight: RunFolder) -> None:
    tokenizer = straight.tokenizer()
    known = tokenizer.encode("put the banana on the plate")
    assert len(known) == 8  # BOS, six words, the action prefix
    spelled = tokenizer.encode("put the zyx on the plate")
    assert len(spelled) == 10  # z, y and x in bytes


def test_adapters_learn_on_a_frozen_policy_and_are_merged_for_serving(
    straight: RunFolder, few_demonstrations: Path, tmp_path: Path
) -> None:
    base = export_run(straight.path, tmp_path / "base")
    tuned = run(
        few_demonstrations, tmp_path / "tuned", initial=str(base.path), lora_rank=4, optimiser="adamw"
    )
    policy = trained_policy(tuned, 4)
    layers = dict(adapted_layers(policy))
    assert layers
    assert any(layer.lora_b.abs().sum() > 0 for layer in layers.values())
    frozen = base.load_policy(for_training=True).state_dict()
    assert all(torch.equal(layer.base.weight, frozen[f"{name}.weight"]) for name, layer in layers.items())
    saved = last_state(tuned)
    assert not any("base.weight" in key for key in saved)
    merged = export_run(tuned.path, tmp_path / "merged").load_eager()
    observation = base.golden.observation
    with torch.no_grad():
        x = merged.preprocessor.prepare([observation])
        torch.testing.assert_close(merged.policy(x).actions, policy.eval()(x).actions, atol=1e-5, rtol=1e-4)


def test_a_policy_of_another_shape_is_no_start(
    straight: RunFolder, few_demonstrations: Path, tmp_path: Path
) -> None:
    base = export_run(straight.path, tmp_path / "base")
    with pytest.raises(ContractError, match=r"language_model\.lm_head\.weight: expected shape"):
        run(few_demonstrations, tmp_path / "tokens", initial=str(base.path), head="tokens")


@pytest.mark.slow
def test_two_processes_train_as_one(straight: RunFolder, few_demonstrations: Path, tmp_path: Path) -> None:
    """Sharded by FSDP2 over gloo: starts torch three times, hence slow."""
    recipe = SHORT
    changes = {
        "steps": recipe.steps,
        "batch": recipe.batch,
        "warm-up": recipe.warm_up,
        "validation-share": recipe.validation_share,
        "validation-every": recipe.validation_every,
        "log-every": recipe.log_every,
        "save-every": recipe.save_every,
    }
    options = [part for name, value in changes.items() for part in (f"--{name}", str(value))]
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "sim_train", "sft", "tiny-put-on", "--suite", "stand-in", *options),
            *("--data", str(few_demonstrations), "--out", str(tmp_path / "two")),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    two = RunFolder(path=tmp_path / "two")
    for alone, together in zip(straight.metrics(), two.metrics(), strict=True):
        for name in ("total", "heat_maps", "approach_xy", "validation/approach_xy"):
            assert together[name] == pytest.approx(alone[name], rel=5e-3), name
    once, twice = last_state(straight), last_state(two)
    assert once.keys() == twice.keys()
    for key in (key for key in once if key.startswith("weights/")):
        assert (once[key] - twice[key]).abs().max() < 5e-3, key
