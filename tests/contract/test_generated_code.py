"""The committed protobuf code is what the .proto files give today."""

from pathlib import Path

import pytest

from robot_contract.generate import ROOT, SOURCES, generate, generated


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate(folder)
    return folder


@pytest.mark.parametrize("source", SOURCES)
def test_generated_code_is_fresh(source: str, fresh: Path) -> None:
    for name in generated(source):
        assert (fresh / name).read_text() == (ROOT / name).read_text(), f"{name}: run `make proto`"
