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
    if not options:  # symlinked, the source itself is what the programs find
        (packages,) = (package / "lib").glob("python3.*/site-packages")
        rigs = {path.name for path in (ROOT / "robot_bridge" / "rigs").glob("*.yaml")}
        assert {path.name for path in packages.glob("robot_bridge/rigs/*.yaml")} == rigs
