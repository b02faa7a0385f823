"""`contract.json` survives its file exactly, and whatever is not exactly a contract is refused by key."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from policy_server.contract_json import contract_from_json, contract_to_json, read_contract
from policy_server.random_checkpoint import put_on_contract, square_camera
from robot_contract.errors import ContractError
from robot_contract.policy_contract import Statistics

CONTRACT = put_on_contract(
    name="put-on",
    cameras=(square_camera("external"), square_camera("wrist", wrist=True)),
    provenance="trained on «nothing»",
)


def test_both_digests_survive_the_file(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    file.write_text(contract_to_json(CONTRACT), encoding="utf-8")
    for loaded in (read_contract(file), read_contract(tmp_path)):
        assert loaded.policy_digest == CONTRACT.policy_digest
        assert loaded.interface_digest == CONTRACT.interface_digest


@given(
    low=hnp.arrays(np.float64, 7, elements=st.floats(-1.0, 0.0)),
    width=hnp.arrays(np.float64, 7, elements=st.floats(0.0, 1.0)),
    period=st.floats(0.01, 2.0),
)
@settings(max_examples=50)
def test_every_number_survives_the_file_exactly(low: np.ndarray, width: np.ndarray, period: float) -> None:
    statistics = dataclasses.replace(CONTRACT.statistics, action_low=low, action_high=low + width)
    contract = dataclasses.replace(CONTRACT, statistics=statistics, step_period=period)
    assert contract_from_json(contract_to_json(contract)).policy_digest == contract.policy_digest


def with_key(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = key.split("/")
        for parent in parents:
            document = document[int(parent) if isinstance(document, list) else parent]
        document[int(last) if isinstance(document, list) else last] = value

    return change


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(key)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (with_key("stepperiod", 0.1), r"stepperiod is unknown; did you mean 'step_period'\?"),
        (with_key("cameras/0/widht", 96), r"cameras\[0\]\.widht is unknown; did you mean 'width'\?"),
        (without("frame"), "frame is missing"),
        (without("schema_version"), "schema_version is missing"),
        (with_key("schema_version", 2), "schema_version: this program reads 1, found 2"),
        (
            with_key("reference", "guess"),
            'reference: expected one of commanded_chain, measured_each_step, found "guess"',
        ),
        (with_key("chunk_length", 8.0), "chunk_length: expected a whole number, found 8.0"),
        (with_key("chunk_length", True), "chunk_length: expected a whole number, found true"),
        (with_key("step_period", "0.1"), 'step_period: expected a finite number, found "0.1"'),
        (with_key("step_period", None), "step_period: expected a finite number, found null"),
        (with_key("cameras", {}), r"cameras: expected a list, found \{\}"),
        (with_key("cameras/1", 3), r"cameras\[1\]: expected an object, found 3"),
        (with_key("statistics/action_low/2", "x"), r"statistics\.action_low\[2\]: expected a finite number"),
        (
            with_key("statistics/action_mask/6", 0),
            r"statistics\.action_mask\[6\]: expected true or false, found 0",
        ),
        (
            with_key("statistics/action_low", [0.0]),
            r"statistics\.action_low, _high have shapes \(1,\), \(7,\)",
        ),
        (with_key("provenance/0", ["one"]), r"provenance\[0\]: expected a list of 2"),
        (with_key("proprioception/0", "elbow"), r"proprioception\[0\]: expected one of position"),
        (with_key("flange_from_tcp/quaternion", [0, 0, 0, 2]), "flange_from_tcp is not a finite position"),
        (with_key("weights_digest", "abc"), "weights_digest is not a sha256"),
        (with_key("time_stretch", 0.5), "time_stretch is 0.5, expected 1 to 10"),
    ],
)
def test_what_is_not_a_contract_is_refused_by_key(
    change: Callable[[dict[str, Any]], None], sentence: str, tmp_path: Path
) -> None:
    document = json.loads(contract_to_json(CONTRACT))
    change(document)
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(document))
    with pytest.raises(ContractError, match=sentence) as refusal:
        read_contract(file)
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "contract.json:1: not valid JSON"),
        ('{"name": "a",\n "name": "b"}', "the key 'name' stands twice"),
        ('{"step_period": NaN}', "found NaN, expected finite numbers only"),
        ("[1]", r"the document: expected an object, found \[1\]"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_not_one_json_object_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        contract_from_json(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"contract\.json: this file is missing"):
        read_contract(tmp_path / "contract.json")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("1e999", "step_period: expected a finite number"),
        ("1" + "0" * 400, "step_period: expected a finite number"),
        ("1" + "0" * 5000, "not valid JSON: a number is too long"),
    ],
)
def test_a_number_too_large_for_a_float_is_refused(number: str, sentence: str) -> None:
    text = contract_to_json(CONTRACT).replace('"step_period": 0.1', f'"step_period": {number}')
    with pytest.raises(ContractError, match=sentence):
        contract_from_json(text)


def test_statistics_are_compared_by_value() -> None:
    loaded = contract_from_json(contract_to_json(CONTRACT))
    for field in dataclasses.fields(Statistics):
        np.testing.assert_array_equal(
            getattr(loaded.statistics, field.name), getattr(CONTRACT.statistics, field.name)
        )


def test_reading_a_contract_needs_no_torch() -> None:
    program = "import sys; import policy_server.contract_json; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
