"""Makes the harness of this folder importable, and keeps one policy server for all that does not harm it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.server_process import ServerProcess

sys.path.insert(0, str(Path(__file__).parent))

from bad_trial import stand_in


@pytest.fixture(scope="session")
def calm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(stand_in(tmp_path_factory.mktemp("server"))) as server:
        yield server
