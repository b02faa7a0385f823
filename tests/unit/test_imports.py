"""The import rules of docs/architecture.md, read from the source with `ast`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PACKAGES = {
    "robot_contract": set[str](),
    "policy_server": {"robot_contract"},
    "robot_bridge": {"robot_contract"},
    "operator_console": {"robot_contract"},
    "calibration": {"robot_contract", "robot_bridge"},
    "sim_train": {"robot_contract", "policy_server", "robot_bridge"},
}

# Library: the files and folders that may import it. Tests and benchmarks are free.
ALLOWED = {
    "rclpy": ("robot_bridge/ros/", "robot_bridge/drivers/crisp.py"),
    "launch": ("robot_bridge/ros/",),
    "launch_ros": ("robot_bridge/ros/",),
    "franky": ("robot_bridge/drivers/franka.py", "robot_bridge/franka/"),
    "pyrealsense2": ("robot_bridge/realsense.py", "robot_bridge/realsense/"),
    "mujoco": ("robot_bridge/twin/", "sim_train/"),
    "mani_skill": ("sim_train/",),
    "sapien": ("sim_train/",),
    "libero": ("sim_train/",),
    "ray": ("sim_train/", "policy_server/ray_serve.py"),
    "fastapi": ("operator_console/",),
    "torch": ("policy_server/", "sim_train/"),
    "transformers": ("policy_server/model/", "policy_server/convert/", "sim_train/"),
    "cv2": ("calibration/", "sim_train/"),
}

CONTRACT_NEEDS = {"numpy", "google", "grpc", "grpc_tools"}


def sources(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "_pb2" not in path.name]


def imported_names(source: str) -> list[str]:
    """Full dotted names of everything that a source file imports, inside functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what a file needs"
            names.append(node.module or "")
    return names


def violations(package: str, file: str, source: str) -> list[str]:
    found = []
    for name in imported_names(source):
        top = name.split(".")[0]
        if top in PACKAGES and top != package and top not in PACKAGES[package]:
            found.append(f"{file} imports {name}: {package} may import {sorted(PACKAGES[package])}")
        if top in ALLOWED and not any(file == place or file.startswith(place) for place in ALLOWED[top]):
            found.append(f"{file} imports {name}: only {', '.join(ALLOWED[top])} may")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_the_architecture_allows(package: str) -> None:
    found = [
        violation
        for path in sources(package)
        for violation in violations(package, path.relative_to(ROOT).as_posix(), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("package", "file", "source"),
    [
        ("robot_contract", "robot_contract/pose.py", "import torch"),
        ("robot_contract", "robot_contract/pose.py", "from robot_bridge.devices import Arm"),
        ("robot_bridge", "robot_bridge/loop.py", "import policy_server.batcher"),
        ("robot_bridge", "robot_bridge/loop.py", "def tick():\n    import mujoco"),
        ("robot_bridge", "robot_bridge/loop.py", "import rclpy.node"),
        ("operator_console", "operator_console/app.py", "import robot_bridge"),
        ("policy_server", "policy_server/server.py", "import ray"),
        ("sim_train", "sim_train/sft.py", "import rclpy"),
    ],
)
def test_a_forbidden_import_is_found(package: str, file: str, source: str) -> None:
    assert len(violations(package, file, source)) == 1


def test_the_contract_needs_numpy_protobuf_and_grpc_only() -> None:
    for path in sources("robot_contract"):
        outside = {name.split(".")[0] for name in imported_names(path.read_text())} - {"robot_contract"}
        assert outside - set(sys.stdlib_module_names) <= CONTRACT_NEEDS, path


@pytest.mark.parametrize("package", ["robot_contract", "robot_bridge", "operator_console", "calibration"])
def test_importing_a_robot_side_package_loads_no_torch(package: str) -> None:
    code = (
        f"import sys, {package}; assert not {{'torch', 'transformers', 'mujoco', 'rclpy'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_optional_import_is_hidden_in_a_try() -> None:
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Try):
                    hidden = [child for child in node.body if isinstance(child, ast.Import | ast.ImportFrom)]
                    assert not hidden, f"{path.relative_to(ROOT)}:{node.lineno} hides an import in a try"


def test_launch_is_a_folder_and_not_a_package() -> None:
    assert not (ROOT / "launch" / "__init__.py").exists()


def unpickling(source: str) -> list[str]:
    """Every way in which a source file could open a pickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name in {"cloudpickle", "dill", "joblib"}]
            case ast.Attribute(value=ast.Name(id="pickle"), attr=name) if name != "UnpicklingError":
                found.append(f"pickle.{name}")
            case ast.ImportFrom(module="pickle"):
                found.append("from pickle")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=keywords):
                safe = {"weights_only": True}.items() <= {
                    keyword.arg: getattr(keyword.value, "value", None) for keyword in keywords
                }.items()
                found += [] if safe else ["torch.load without weights_only=True"]
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                found.append("allow_pickle=True")
            case _:
                pass
    return found


def test_nothing_unpickles() -> None:
    for package in PACKAGES:
        for path in sources(package):
            assert unpickling(path.read_text()) == [], path


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(data)",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "import joblib",
    ],
)
def test_unpickling_is_found(source: str) -> None:
    assert len(unpickling(source)) == 1
