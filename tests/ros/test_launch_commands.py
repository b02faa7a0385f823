"""The installed executables, started with the command lines that the launch files produce, over real DDS.

`ros2 launch` itself is on no package index (docs/launch.md); what it would start is what is started here.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from workspace import COLCON, clean_environment

from robot_bridge import launch_arguments
from robot_bridge.launch_arguments import FRANKA, MOCK, Argument
from robot_bridge.system import PACKAGE, RosNode, parameter_file_text, ros_command
from robot_contract.health import grpc_problem

START_SECONDS = 120.0

pytestmark = pytest.mark.skipif(not COLCON.exists(), reason="no .envs/ros; scripts/ros-env.sh makes it")


@pytest.fixture
def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def node_of(kind: str, arguments: tuple[Argument, ...], **given: str) -> RosNode:
    values = {argument.name: argument.default for argument in arguments}
    assert set(given) <= set(values)
    parts = getattr(launch_arguments, kind)(
        values | {"console": "false", "dds_profile": "one_machine"} | given
    )
    (node,) = [part for part in parts if isinstance(part, RosNode)]
    return node


class Launched:
    """A node as `ros2 launch` starts it, and its end."""

    def __init__(self, node: RosNode, installed: Mapping[str, str], folder: Path) -> None:
        prefix = Path(installed["AMENT_PREFIX_PATH"].split(":")[0])
        executable = prefix / "lib" / PACKAGE / node.executable
        parameters = folder / "parameters.yaml"
        parameters.write_text(parameter_file_text(node))
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ros_command(node, executable, parameters),
                cwd=folder,
                env={**clean_environment(**installed), **node.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_healthy(self, address: str) -> None:
        end = time.monotonic() + START_SECONDS
        while problem := grpc_problem(address):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"{problem}\n{self.log.read_text()}"
            time.sleep(0.1)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def launched() -> Iterator[list[Launched]]:
    started: list[Launched] = []
    yield started
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def test_the_mock_launch_s_node_serves_operators_and_ends_by_sigint(
    installed: Mapping[str, str], address: str, tmp_path: Path, launched: list[Launched]
) -> None:
    node = node_of("mock", MOCK, operator_address=address, record="false", namespace="left")
    launched.append(Launched(node, installed, tmp_path))
    launched[0].wait_until_healthy(address)
    assert launched[0].end() == 0, launched[0].log.read_text()
    assert grpc_problem(address)


def test_the_franka_launch_rehearses_its_rig_without_hardware(
    installed: Mapping[str, str], address: str, tmp_path: Path, launched: list[Launched]
) -> None:
    node = node_of(
        "franka",
        FRANKA,
        operator_address=address,
        use_fake_hardware="true",
        robot_ip="dont-care",
        robot_type="fr3",
        dry_run="true",
        record="false",
        arm_prefix="left_",
    )
    launched.append(Launched(node, installed, tmp_path))
    launched[0].wait_until_healthy(address)
    assert launched[0].end() == 0, launched[0].log.read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"safety_profile": "normal"}, "looser than the rig's"),
        ({"robot_type": "panda"}, "rig franka is for fr3"),
    ],
)
def test_nothing_looser_than_the_rig_gets_through_the_launch(
    installed: Mapping[str, str],
    address: str,
    tmp_path: Path,
    launched: list[Launched],
    given: dict[str, str],
    words: str,
) -> None:
    node = node_of("franka", FRANKA, use_mock="true", operator_address=address, **given)
    launched.append(Launched(node, installed, tmp_path))
    assert launched[0].process.wait(START_SECONDS) != 0
    assert words in launched[0].log.read_text()
