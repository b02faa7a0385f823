"""`colcon build` makes a ROS package of this tree: executables, launch files, resource index."""

from pathlib import Path

import pytest
from workspace import COLCON, ROOT, build, sourced

PROGRAMS = {"bridge_node", "policy-server", "robot-bridge", "operator-console", "sim-train", "calibrate"}

pytestmark = pytest.mark.skipif(not COLCON.exists(), reason="no .envs/ros; scripts/ros-env.sh makes it")


@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copied", "symlinked"])
def test_colcon_builds_a_package_that_ros2_launch_finds(tmp_path: Path, options: list[str]) -> None:
    install = build(tmp_path, options)
    package = install / "robot_bridge"
    assert {path.name for path in (package / "lib" / "robot_bridge").iterdir()} >= PROGRAMS
    share = package / "share" / "robot_bridge"
    assert {path.name for path in (share / "launch").iterdir()} == {
        path.name for path in (ROOT / "launch").glob("*.launch.py")
    }
    assert (share / "package.xml").exists()
    assert (package / "share" / "ament_index" / "resource_index" / "packages" / "robot_bridge").exists()
    assert sourced(install)["AMENT_PREFIX_PATH"].startswith(str(package)), "colcon took it for a ROS package"
    rigs = {path.name for path in (ROOT / "robot_bridge" / "rigs").glob("*.yaml")}
    assert {path.name for path in built_from(options, source, install).glob("rigs/*.yaml")} >= rigs


def built_from(options: list[str], source: Path, install: Path) -> Path:
    """Where the installed programs find the package `robot_bridge`."""
    if options:  # symlinked: the source itself
        return source / "robot_bridge"
    (packages,) = (install / "lib").glob("python3.*/site-packages")
    return packages / "robot_bridge"
