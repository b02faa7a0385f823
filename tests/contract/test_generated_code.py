"""The committed protobuf code is what wire.proto gives today."""

from pathlib import Path

from robot_contract.generate import GENERATED, PACKAGE, generate


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    generate(tmp_path)
    for name in GENERATED:
        assert (tmp_path / name).read_text() == (PACKAGE / name).read_text(), f"{name}: run `make proto`"
