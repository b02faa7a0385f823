"""The launch files, read with a stand-in for ROS's `launch` library where that is not installed."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"


class Recorded:
    """Any launch action: keeps what it was made of."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.values = values
        self.named = named


class LaunchConfiguration(Recorded):
    def perform(self, context: dict[str, str]) -> str:
        return context[self.values[0]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "launch": {"LaunchContext": dict, "LaunchDescription": Recorded},
        "launch.actions": dict.fromkeys(
            ("DeclareLaunchArgument", "EmitEvent", "ExecuteProcess", "OpaqueFunction"), Recorded
        ),
        "launch.events": {"Shutdown": Recorded},
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), LAUNCH / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("stand_in")
def test_every_argument_has_a_description_and_a_default() -> None:
    description = load("mock.launch.py").generate_launch_description()
    *declared, start = description.values[0]
    assert len(declared) >= 5
    for argument in declared:
        assert argument.named["description"].endswith(".")
        assert isinstance(argument.named["default_value"], str)
    assert callable(start.named["function"])


@pytest.mark.usefixtures("stand_in")
def test_the_defaults_start_bridge_and_console() -> None:
    module = load("mock.launch.py")
    values = {name: default for name, default, _ in module.ARGUMENTS}
    started = module.start(values)
    assert [action.named["name"] for action in started] == ["robot-bridge", "operator-console"]
    assert started[0].named["cmd"][1:4] == ["-m", "robot_bridge", "run"]


@pytest.mark.usefixtures("stand_in")
def test_a_checkpoint_starts_a_server_on_the_named_port() -> None:
    module = load("mock.launch.py")
    values = {name: default for name, default, _ in module.ARGUMENTS}
    values |= {"checkpoint": "put-on", "policy_server": "127.0.0.1:6000", "console": "false"}
    started = module.start(values)
    assert [action.named["name"] for action in started] == ["policy-server", "robot-bridge"]
    assert "127.0.0.1:6000" in started[0].named["cmd"]


@pytest.mark.usefixtures("stand_in")
def test_a_rig_with_hardware_is_refused() -> None:
    module = load("mock.launch.py")
    values = {name: default for name, default, _ in module.ARGUMENTS} | {"rig": "fr3_cell"}
    with pytest.raises(ValueError, match="rig is 'fr3_cell', this launch file accepts mock and twin"):
        module.start(values)
