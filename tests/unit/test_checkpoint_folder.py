"""A checkpoint folder is whole or absent, opens to what was saved, and each damage gets one sentence."""

import contextlib
import dataclasses
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from policy_server.checkpoint import (
    check_widths,
    open_checkpoint,
    save_checkpoint,
    weights_digest,
)
from policy_server.model.policy import build_policy
from policy_server.model.presets import TINY, TINY_TOWER
from policy_server.model.tokenizer import word_tokenizer
from policy_server.random_checkpoint import make_random_checkpoint, put_on_contract, square_camera
from policy_server.weights import INDEX_FILE, WEIGHTS_FILE
from robot_contract.errors import ContractError

# The smallest model with every part, so that a test costs milliseconds.
SMALL = dataclasses.replace(
    TINY,
    towers=(dataclasses.replace(TINY_TOWER, width=16, depth=1, live_blocks=1, heads=2, mlp_width=16),) * 2,
    projector_width=16,
    head_width=16,
    language=dataclasses.replace(TINY.language, hidden_size=16, layers=1, heads=2, mlp_width=16),
)
CONTRACT = put_on_contract(name="small", cameras=(square_camera("external"),), provenance="random")
TOKENIZER = word_tokenizer(["put the red cube on the white plate"], SMALL.tokens)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save(path: Path, **changes: Any) -> None:
    arguments = {
        "contract": CONTRACT,
        "config": SMALL,
        "tensors": build_policy(SMALL, seed=3).state_dict().items(),
        "tokenizer": TOKENIZER,
        "report": {"evaluations": {}},
    }
    save_checkpoint(path, **(arguments | changes))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "small"
    save(path)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_checkpoint_opens_to_what_was_saved(saved: Path) -> None:
    opened = open_checkpoint(saved)
    assert opened.contract.interface_digest == CONTRACT.interface_digest
    assert opened.contract.weights_digest == weights_digest(saved)
    assert opened.config == SMALL
    assert opened.report == {"evaluations": {}}
    state = opened.load_policy(for_training=True).state_dict()
    for key, tensor in build_policy(SMALL, seed=3).state_dict().items():
        assert torch.equal(state[key], tensor), key


def test_what_is_served_has_no_training_heads_and_the_asked_number_format(saved: Path) -> None:
    policy = open_checkpoint(saved).load_policy(dtype=torch.bfloat16)
    assert not policy.training
    assert not [key for key in policy.state_dict() if key.startswith("auxiliary")]
    assert {tensor.dtype for tensor in policy.state_dict().values()} == {torch.bfloat16}


def test_the_golden_chunk_is_what_the_saved_weights_answer(saved: Path) -> None:
    opened = open_checkpoint(saved)
    actions = opened.load_eager().predict(opened.golden.observation)
    assert opened.golden.complaint(actions, device="cpu", dtype="float32") is None
    low_precision = opened.load_eager(dtype=torch.bfloat16).predict(opened.golden.observation)
    assert opened.golden.complaint(low_precision, device="cpu", dtype="bfloat16") is None


def test_the_golden_chunk_notices_other_weights(saved: Path) -> None:
    opened = open_checkpoint(saved)
    eager = opened.load_eager()
    with torch.no_grad():
        eager.policy.action_head.model.fc2.bias[2] += 0.01
    complaint = opened.golden.complaint(
        eager.predict(opened.golden.observation), device="cuda:0", dtype="float32"
    )
    assert complaint is not None
    assert "action 0, entry 2: expected" in complaint


def test_the_golden_chunk_notices_numbers_that_are_none_and_devices_without_a_tolerance(saved: Path) -> None:
    golden = open_checkpoint(saved).golden
    assert golden.complaint(golden.actions * np.nan, device="cpu", dtype="float32") is not None
    complaint = golden.complaint(golden.actions, device="cuda", dtype="float8")
    assert complaint is not None
    assert "no tolerance for cuda/float8; it has cpu/bfloat16" in complaint


def test_the_same_seed_gives_the_same_random_policy(tmp_path: Path) -> None:
    first, second = (make_random_checkpoint(tmp_path / name, seed=5) for name in ("a", "b"))
    other = make_random_checkpoint(tmp_path / "c", seed=6)
    assert first.contract.policy_digest == second.contract.policy_digest != other.contract.policy_digest
    assert "random" in first.report["weights"]


def test_a_random_policy_may_have_a_wrist_camera(tmp_path: Path) -> None:
    opened = make_random_checkpoint(tmp_path / "two", wrist_camera=True)
    assert [camera.mount for camera in opened.contract.cameras] == ["external", "wrist"]
    assert opened.load_eager().predict(opened.golden.observation).shape == (8, 7)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 2), (torch.bfloat16, 2), (torch.float32, 4)])
def test_weights_are_stored_in_the_asked_number_format(dtype: torch.dtype, size: int, tmp_path: Path) -> None:
    save(tmp_path / "c", dtype=dtype)
    count = sum(tensor.numel() for tensor in build_policy(SMALL, seed=3).state_dict().values())
    stored = load_file(tmp_path / "c" / WEIGHTS_FILE)
    assert sum(tensor.nbytes for tensor in stored.values()) == count * size
    opened = open_checkpoint(tmp_path / "c")
    actions = opened.load_eager(dtype=torch.float32).predict(opened.golden.observation)
    assert opened.golden.complaint(actions, device="cpu", dtype="float32") is None


def test_shards_with_an_index_hold_the_same_weights(saved: Path, tmp_path: Path) -> None:
    save(tmp_path / "sharded", shard_bytes=20_000)
    opened = open_checkpoint(tmp_path / "sharded")
    assert not (opened.path / WEIGHTS_FILE).exists()
    shards = sorted(opened.path.glob("weights-*.safetensors"))
    assert len(shards) > 3
    assert shards[0].name == f"weights-00001-of-{len(shards):05d}.safetensors"
    single = load_file(saved / WEIGHTS_FILE)
    state = opened.load_policy(for_training=True).state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in single.items())


def test_a_loaded_policy_does_not_change_with_its_file(copy: Path) -> None:
    policy = open_checkpoint(copy).load_policy()
    before = policy.projector.fc1.weight.clone()
    size = (copy / WEIGHTS_FILE).stat().st_size
    with (copy / WEIGHTS_FILE).open("r+b") as file:
        file.write(b"\xff" * size)
    assert torch.equal(policy.projector.fc1.weight, before)


def rewrite_json(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        document = json.loads((path / name).read_text())
        change(document)
        (path / name).write_text(json.dumps(document))

    return damage


def rewrite_weights(change: Callable[[dict[str, Tensor]], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        tensors = load_file(path / WEIGHTS_FILE)
        change(tensors)
        save_file(tensors, path / WEIGHTS_FILE)

    return damage


def truncate(name: str, missing: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path / name, (path / name).stat().st_size - missing)


def flip_a_bit(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[-1] ^= 1
        (path / name).write_bytes(content)

    return damage


def replace_array(key: str, array: np.ndarray) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with np.load(path / "golden.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
        np.savez(path / "golden.npz", **(arrays | {key: array}))

    return damage


KEY = "projector.fc1.weight"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            truncate(WEIGHTS_FILE, 1),
            r"weights\.safetensors: expected \d+ bytes by its header, found \d+: it is truncated",
        ),
        (
            lambda p: (p / WEIGHTS_FILE).write_bytes(b""),
            r"weights\.safetensors: expected a safetensors file, found 0 bytes",
        ),
        (
            lambda p: (p / WEIGHTS_FILE).write_bytes(b"\x80\x04" * 40),
            r"weights\.safetensors: expected a safetensors file",
        ),
        (lambda p: (p / WEIGHTS_FILE).unlink(), r"weights\.safetensors: this file is missing"),
        (
            rewrite_weights(lambda t: t.pop(KEY)),
            rf"{KEY}: expected shape \(16, 32\) in the weights, found no such key",
        ),
        (
            rewrite_weights(lambda t: t.update({KEY: torch.zeros(16, 33)})),
            rf"weights\.safetensors: {KEY}: expected shape \(16, 32\), found \(16, 33\)",
        ),
        (
            rewrite_weights(lambda t: t.update({"extra": torch.zeros(2)})),
            r"weights\.safetensors: extra: expected no such key by model\.json, found shape \(2,\)",
        ),
        (
            rewrite_weights(lambda t: t.update({KEY: t[KEY].double()})),
            rf"weights\.safetensors: {KEY}: expected dtype F32, F16, BF16, found F64",
        ),
        (flip_a_bit(WEIGHTS_FILE), "they are not the files that were saved"),
        (rewrite_weights(lambda t: t.update({KEY: t[KEY] + 1})), "weights_digest in contract.json is"),
        (
            rewrite_json("model.json", lambda d: d.update(center_crop_area=0.5)),
            "weights_digest in contract.json is",
        ),
        (flip_a_bit("tokenizer/tokenizer.json"), "tokenizer.json"),
        (rewrite_json("model.json", lambda d: d.update(heads=3)), r"model\.json: heads is unknown"),
        (rewrite_json("model.json", lambda d: d.pop("film")), r"model\.json: film is missing"),
        (
            rewrite_json("model.json", lambda d: d.update(proprio_size=9)),
            r"contract\.json: width of proprioception: expected 9 by model\.json, found 8",
        ),
        (
            rewrite_json("model.json", lambda d: d.update(cameras=2)),
            r"contract\.json: cameras: expected 2 by model\.json, found 1",
        ),
        (
            rewrite_json("model.json", lambda d: d.update(chunk_length=4)),
            r"contract\.json: chunk_length: expected 4 by model\.json, found 8",
        ),
        (
            rewrite_json("model.json", lambda d: d.update(action_size=6)),
            r"contract\.json: width of an action: expected 6 by model\.json, found 7",
        ),
        (
            rewrite_json("contract.json", lambda d: d.update(schema_version=7)),
            "schema_version: this program reads 1, found 7",
        ),
        (
            rewrite_json("contract.json", lambda d: d.update(weights_digest="f" * 64)),
            "weights_digest in contract.json is ffff",
        ),
        (lambda p: (p / "contract.json").unlink(), r"contract\.json: this file is missing"),
        (lambda p: (p / "report.json").write_text("[]"), r"report\.json: expected an object"),
        (truncate("golden.npz", 300), r"golden\.npz: expected plain arrays in an npz file"),
        (
            replace_array("actions", np.zeros((8, 6))),
            r"golden\.npz: actions: expected shape \(8, 7\), found \(8, 6\)",
        ),
        (replace_array("actions", np.full((8, 7), np.nan)), r"golden\.npz: actions: expected finite"),
        (replace_array("image/external", np.zeros(3)), r"golden\.npz: image/external: expected the bytes"),
        (replace_array("surprise", np.zeros(3)), r"golden\.npz: surprise is unknown"),
        (replace_array("actions", np.array([{"pickled": 1}])), r"golden\.npz: expected plain arrays"),
        (lambda p: (p / "golden.npz").unlink(), r"golden\.npz: this file is missing"),
        (lambda p: shutil.rmtree(p / "tokenizer"), r"tokenizer\.json: this file is missing"),
    ],
)
def test_each_damage_gets_one_sentence(damage: Callable[[Path], object], sentence: str, copy: Path) -> None:
    damage(copy)
    with pytest.raises(ContractError, match=sentence) as refusal:
        open_checkpoint(copy)
    assert "\n" not in str(refusal.value)


def test_a_header_that_lies_is_refused(copy: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}).encode()
    (copy / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    with pytest.raises(ContractError, match=r"x: shape \(4,\) of F32 needs 16 bytes, found 8"):
        open_checkpoint(copy)


@pytest.mark.parametrize("name", ["../outside.safetensors", "weights.bin", 3])
def test_an_index_names_only_shards_beside_it(name: object, tmp_path: Path) -> None:
    save(tmp_path / "c", shard_bytes=20_000)
    rewrite_json(INDEX_FILE, lambda document: document["weight_map"].update({KEY: name}))(tmp_path / "c")
    with pytest.raises(ContractError, match="expected the name of a shard beside it"):
        open_checkpoint(tmp_path / "c")


def test_a_shard_that_the_index_puts_elsewhere_is_noticed(tmp_path: Path) -> None:
    save(tmp_path / "c", shard_bytes=20_000)
    last = max((tmp_path / "c").glob("weights-*")).name
    rewrite_json(INDEX_FILE, lambda document: document["weight_map"].update({KEY: last}))(tmp_path / "c")
    with pytest.raises(ContractError, match=f"{KEY}: expected in {last}, which does not hold it"):
        open_checkpoint(tmp_path / "c")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="expected a checkpoint folder, found nothing"):
        open_checkpoint(tmp_path / "nowhere")


def test_a_pickle_in_the_folder_is_never_touched(copy: Path) -> None:
    (copy / "weights.pt").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    assert open_checkpoint(copy).contract.name == "small"


def test_saving_never_writes_over_anything(saved: Path) -> None:
    with pytest.raises(ContractError, match="expected a name that is free"):
        save(saved)


def test_a_failure_while_saving_leaves_nothing(tmp_path: Path) -> None:
    def tensors() -> Iterator[tuple[str, Tensor]]:
        yield from list(build_policy(SMALL, seed=3).state_dict().items())[:20]
        raise OSError("the source broke off")

    with pytest.raises(OSError, match="broke off"):
        save(tmp_path / "c", tensors=tensors(), shard_bytes=10_000)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_do_not_fit_the_model_are_never_saved(tmp_path: Path) -> None:
    tensors = build_policy(SMALL, seed=3).state_dict()
    tensors[KEY] = torch.zeros(3, 3)
    with pytest.raises(ContractError, match=rf"{KEY}: expected shape \(16, 32\), found \(3, 3\)"):
        save(tmp_path / "c", tensors=tensors.items())
    assert list(tmp_path.iterdir()) == []


def test_weights_that_answer_with_no_number_are_never_saved(tmp_path: Path) -> None:
    tensors = build_policy(SMALL, seed=3).state_dict()
    tensors["action_head.model.fc2.bias"].fill_(float("nan"))
    with pytest.raises(ContractError, match=r"cannot be saved as a policy: .*not finite"):
        save(tmp_path / "c", tensors=tensors.items())
    assert list(tmp_path.iterdir()) == []


def test_widths_that_disagree_are_never_saved(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cameras: expected 2"):
        save(tmp_path / "c", config=dataclasses.replace(SMALL, cameras=2))
    assert list(tmp_path.iterdir()) == []
    check_widths(CONTRACT, SMALL)


def numbers_in(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a whole number in a JSON document: what holds it, and under which key."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(entries):
        if isinstance(value, dict | list):
            yield from numbers_in(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield document, key


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_wrong_size_anywhere_in_the_model_file_is_refused(number: int, copy: Path) -> None:
    file = copy / "model.json"
    text = file.read_text()
    for place in range(len(list(numbers_in(json.loads(text))))):
        document = json.loads(text)
        holder, key = list(numbers_in(document))[place]
        if holder[key] == number:
            continue
        holder[key] = number
        file.write_text(json.dumps(document))
        with pytest.raises(ContractError) as refusal:
            open_checkpoint(copy)
        assert "\n" not in str(refusal.value), key


def test_damaged_bytes_anywhere_are_refused_with_a_sentence_or_change_nothing(copy: Path) -> None:
    random = np.random.default_rng(0)
    before = open_checkpoint(copy)
    files = [file for file in sorted(copy.rglob("*")) if file.is_file()]
    for round_ in range(80):
        file = files[round_ % len(files)]
        content = file.read_bytes()
        damaged = bytearray(content)
        at = int(random.integers(len(damaged)))
        if round_ % 3:
            damaged[at] = int(random.integers(256))
        else:
            del damaged[at:]
        file.write_bytes(damaged)
        with contextlib.suppress(ContractError):  # anything else fails the test
            assert open_checkpoint(copy).contract.weights_digest == before.contract.weights_digest
        file.write_bytes(content)
