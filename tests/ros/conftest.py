"""Makes the harness of this folder importable; one build and one ROS domain for a whole run."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "contract"), str(HERE.parent / "faults")]
os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100)  # nobody else's
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

from workspace import build, sourced  # noqa: E402 - found by the lines above

from robot_bridge.ros.dds_profile import environment  # noqa: E402

os.environ.update(environment(one_machine=True))  # everybody here, before the first participant is made


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which a freshly built workspace was sourced."""
    return sourced(build(tmp_path_factory.mktemp("workspace")))
