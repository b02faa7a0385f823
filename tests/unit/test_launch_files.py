"""The launch files: thin adapters around plain data, which is tested here word by word.

Where ROS's own `launch_ros` is installed, the real files are evaluated by the real library as well.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robot_bridge import launch_arguments, system
from robot_bridge.launch_arguments import FRANKA, MOCK, Argument, Part, table_for_people
from robot_bridge.ros.parameters import PARAMETERS
from robot_bridge.system import Process, RosNode, parameter_file_text, ros_command

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
ASKED_FOR = {
    *("robot_ip", "robot_type", "rig", "driver", "use_mock", "use_fake_hardware", "use_mock_hardware"),
    *("namespace", "arm_prefix", "policy_server", "policy_tls_dir", "cameras_file", "safety_profile"),
    *("dry_run", "record", "console", "log_level"),
}


def with_defaults(arguments: tuple[Argument, ...], **given: str) -> dict[str, str]:
    values = {argument.name: argument.default for argument in arguments}
    assert set(given) <= set(values)
    return values | given


def franka(**given: str) -> list[Part]:
    return launch_arguments.franka(with_defaults(FRANKA, **given))


def mock(**given: str) -> list[Part]:
    return launch_arguments.mock(with_defaults(MOCK, **given))


def node_of(parts: list[Part]) -> RosNode:
    (node,) = [part for part in parts if isinstance(part, RosNode)]
    return node


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_launch_file_is_a_thin_adapter(file: Path) -> None:
    """It defines `generate_launch_description`, imports three names, and decides nothing."""
    docstring, *body = ast.parse(file.read_text()).body
    assert isinstance(docstring, ast.Expr)
    *imports, function = body
    assert {ast.unparse(line) for line in imports} == {
        "from launch import LaunchDescription",
        "from robot_bridge import launch_arguments",
        "from robot_bridge.ros.launch_actions import describe",
    }
    assert isinstance(function, ast.FunctionDef)
    assert function.name == "generate_launch_description"
    (only,) = function.body
    kind = file.name.split(".")[0]
    assert ast.unparse(only) == f"return describe(launch_arguments.{kind.upper()}, launch_arguments.{kind})"


def test_there_are_two_launch_files() -> None:
    assert [file.name for file in FILES] == ["franka.launch.py", "mock.launch.py"]


@pytest.mark.parametrize("arguments", [FRANKA, MOCK], ids=["franka", "mock"])
def test_show_args_reads_as_documentation(arguments: tuple[Argument, ...]) -> None:
    names = [argument.name for argument in arguments]
    assert len(names) == len(set(names))
    for argument in arguments:
        assert argument.description.endswith("."), argument.name
        assert len(argument.description) > 20, argument.name
        assert not argument.choices or argument.default in argument.choices, argument.name


@pytest.mark.parametrize(("kind", "arguments"), [("franka", FRANKA), ("mock", MOCK)])
def test_the_manual_lists_the_arguments(kind: str, arguments: tuple[Argument, ...]) -> None:
    manual = (ROOT / "docs" / "launch.md").read_text()
    written = manual.split(f"<!-- {kind} -->\n")[1].split(f"<!-- /{kind} -->")[0]
    assert written == table_for_people(arguments), (
        f"docs/launch.md, {kind}: paste what table_for_people prints"
    )


def test_franka_has_the_arguments_that_robot_users_know() -> None:
    assert {argument.name for argument in FRANKA} >= ASKED_FOR


def test_the_defaults_start_the_node_and_the_console() -> None:
    node, console = franka(dds_profile="own")
    assert node == RosNode(executable="bridge_node", name="robot_bridge", parameters={"rig": "franka"})
    assert isinstance(console, Process)
    assert (console.name, *console.arguments) == (
        *("operator-console", "serve", "--port", "8080"),
        *("--bridge", "127.0.0.1:50052"),
    )


def test_the_command_line_of_an_arm_in_a_namespace() -> None:
    node = node_of(
        franka(
            robot_ip="172.16.0.2",
            rig="/etc/touchdown/left.yaml",
            policy_server="gpu.lab:50051",
            policy_tls_dir="/etc/touchdown/tls",
            safety_profile="reduced",
            dry_run="true",
            record="false",
            namespace="left",
            arm_prefix="left_",
            log_level="debug",
        )
    )
    command = ros_command(node, Path("install/robot_bridge/lib/robot_bridge/bridge_node"), Path("p.yaml"))
    assert command == (
        "install/robot_bridge/lib/robot_bridge/bridge_node",
        *("--ros-args", "--log-level", "debug"),
        *("--ros-args", "-r", "__node:=robot_bridge", "-r", "__ns:=/left", "--params-file", "p.yaml"),
    )
    assert json.loads(parameter_file_text(node)) == {
        "/left/robot_bridge": {
            "ros__parameters": {
                "rig": "/etc/touchdown/left.yaml",
                "robot_ip": "172.16.0.2",
                "arm_prefix": "left_",
                "safety_profile": "reduced",
                "dry_run": True,
                "policy_server": "gpu.lab:50051",
                "policy_tls_dir": "/etc/touchdown/tls",
                "record": False,
            }
        }
    }


def test_the_command_line_without_a_namespace() -> None:
    node = node_of(mock(console="false"))
    assert ros_command(node, Path("bridge_node"), Path("p.yaml")) == (
        *("bridge_node", "--ros-args", "--log-level", "info"),
        *("--ros-args", "-r", "__node:=robot_bridge", "--params-file", "p.yaml"),
    )
    assert json.loads(parameter_file_text(node)) == {
        "/**": {"ros__parameters": {"rig": "mock", "policy_server": "127.0.0.1:50051"}}
    }


@pytest.mark.parametrize("alias", ["use_mock", "use_fake_hardware", "use_mock_hardware"])
def test_every_alias_rehearses_without_hardware(alias: str) -> None:
    assert node_of(franka(**{alias: "true"})).parameters["driver"] == "mock"
    with pytest.raises(ValueError, match=f"driver is 'franka' and {alias} is true; give one of the two"):
        franka(driver="franka", **{alias: "true"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"use_mock": "yes"}, "use_mock is 'yes'; accepted are true, false"),
        ({"safety_profile": "fast"}, "safety_profile is 'fast'; accepted are nothing, reduced, normal"),
        ({"driver": "frnka"}, "driver is 'frnka'; accepted are nothing, mock, twin"),
        ({"console_port": "http"}, "console_port has the port 'http'"),
        ({"console_port": "70000"}, "expected a number from 1 to 65535"),
        ({"log_level": "loud"}, "log_level is 'loud'"),
    ],
)
def test_a_wrong_value_is_a_sentence(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        franka(**given)


def test_the_mock_launch_takes_no_hardware() -> None:
    with pytest.raises(ValueError, match="rig is 'franka'; accepted are mock, twin"):
        mock(rig="franka")


def test_a_checkpoint_starts_a_server_on_the_named_port() -> None:
    parts = mock(checkpoint="put-on", policy_server="127.0.0.1:6000", console="false", rig="twin")
    server, node = parts
    assert isinstance(server, Process)
    assert (server.name, *server.arguments) == (
        *("policy-server", "serve", "--checkpoints", "put-on"),
        *("--address", "127.0.0.1:6000"),
    )
    assert node == node_of(parts)
    assert node.parameters == {"rig": "twin", "policy_server": "127.0.0.1:6000"}


def test_the_console_finds_the_bridge_and_its_certificates() -> None:
    _, console = franka(operator_address="10.0.0.2:6001", console_port="9000", console_tls_dir="tls")
    assert isinstance(console, Process)
    assert console.arguments == (
        *("serve", "--port", "9000", "--bridge", "10.0.0.2:6001"),
        *("--tls", "tls"),
    )


@pytest.mark.parametrize(
    ("profile", "file"), [("network", "fastdds.xml"), ("one_machine", "fastdds_one_machine.xml")]
)
def test_the_node_gets_a_dds_profile_with_room_for_pictures(profile: str, file: str) -> None:
    environment = node_of(franka(dds_profile=profile)).environment
    assert {Path(value).name for value in environment.values()} == {file}
    assert all(Path(value).is_file() for value in environment.values())


def test_only_parameters_that_the_node_has_are_passed() -> None:
    known = {parameter.name for parameter in PARAMETERS}
    values = {
        argument.name: (argument.choices[-1] if argument.choices else "1")
        for argument in FRANKA
        if argument.name not in ("driver", "use_mock", "use_fake_hardware", "use_mock_hardware")
    }
    assert set(node_of(franka(**values)).parameters) <= known


@pytest.mark.parametrize("part", [system.console(port=1, bridge="a:1"), *mock(checkpoint="c")[:1]])
def test_programs_are_started_by_the_names_under_which_they_are_installed(part: Process) -> None:
    setup = (ROOT / "setup.cfg").read_text()
    assert f"    {part.name} = {part.module}.__main__:main\n" in setup


def test_launch_arguments_need_the_standard_library_only() -> None:
    """`ros2 launch` reads them with ROS's interpreter, which has none of our libraries."""
    code = (
        "import sys, robot_bridge.launch_arguments;"
        "print(sorted({'numpy', 'grpc', 'google.protobuf', 'yaml', 'tyro'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["franka", "mock"])
def test_the_real_library_makes_the_same_command_lines(kind: str) -> None:
    """In an image with ROS 2: the file is loaded, and what it starts is what is tested above."""
    pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI; run in an image with ROS 2")
    from launch import LaunchContext
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description: Any = get_launch_description_from_python_launch_file(
        str(ROOT / "launch" / f"{kind}.launch.py")
    )
    arguments = FRANKA if kind == "franka" else MOCK
    assert [a.name for a in description.get_launch_arguments()] == [a.name for a in arguments]
    context = LaunchContext()
    context.launch_configurations.update(with_defaults(arguments, namespace="left"))
    started = description.entities[-1].execute(context)
    node = next(action for action in started if type(action).__name__ == "Node")
    node._perform_substitutions(context)
    words = ["".join(part.perform(context) for part in word) for word in node.cmd[1:6]]
    assert words[:3] == ["--ros-args", "--log-level", "info"]
