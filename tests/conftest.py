"""Leaves out what this machine's role cannot run, and says so at the top of the report."""

import ast
import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine; `make soak` draws at random.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

# A robot computer has no PyTorch, and then neither a policy server nor training.
HAS_TORCH = importlib.util.find_spec("torch") is not None
SERVER_SIDE = {"torch", "transformers", "safetensors", "policy_server", "sim_train"}
# ROS has an environment of its own, and then its own run: make test-ros.
HAS_ROS = importlib.util.find_spec("rclpy") is not None
ROS_SIDE = {"rclpy", "ros_client", "running_node", "crisp_controller"}
LEFT_OUT: dict[str, list[str]] = {"torch": [], "ROS": []}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    del config
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    found = imports(collection_path)
    for want, is_there, names in (("torch", HAS_TORCH, SERVER_SIDE), ("ROS", HAS_ROS, ROS_SIDE)):
        if not is_there and found & names:
            LEFT_OUT[want].append(collection_path.name)
            return True
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for want, names in LEFT_OUT.items():
        if names:
            where = "on this machine" if want == "torch" else "in this environment (make test-ros)"
            terminalreporter.write_line(
                f"left out, for want of {want} {where}: {', '.join(sorted(set(names)))}"
            )
