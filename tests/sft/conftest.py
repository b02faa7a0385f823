"""Demonstrations of the stand-in suite, made once for all tests here."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stand_in_demonstrations import write_demonstrations


@pytest.fixture(scope="session")
def few_demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(tmp_path_factory.mktemp("data") / "few", episodes=8)


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(tmp_path_factory.mktemp("data") / "stand-in", episodes=80, first_seed=100)
