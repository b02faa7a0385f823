"""`colcon build` makes a ROS package of this tree: executables, launch files, resource index."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLCON = ROOT / ".envs" / "colcon" / "bin" / "colcon"
PROGRAMS = {"policy-server", "robot-bridge", "operator-console", "sim-train", "calibrate"}

pytestmark = pytest.mark.skipif(not COLCON.exists(), reason="no .envs/colcon; scripts/colcon-env.sh makes it")


@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copied", "symlinked"])
def test_colcon_builds_a_package_that_ros2_launch_finds(tmp_path: Path, options: list[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    source = tmp_path / "src" / "robot_bridge"
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if name.endswith((".safetensors", ".png")) or not (ROOT / name).exists():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)

    built = subprocess.run(
        [COLCON, "--log-base", tmp_path / "log", "build", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{COLCON.parent}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert built.returncode == 0, built.stdout + built.stderr

    install = tmp_path / "install" / "robot_bridge"
    assert {path.name for path in (install / "lib" / "robot_bridge").iterdir()} >= PROGRAMS
    share = install / "share" / "robot_bridge"
    assert {path.name for path in (share / "launch").iterdir()} == {
        path.name for path in (ROOT / "launch").glob("*.launch.py")
    }
    assert (share / "package.xml").exists()
    assert (install / "share" / "ament_index" / "resource_index" / "packages" / "robot_bridge").exists()
