"""A workspace of this tree's tracked files, built by colcon, and the environment that sourcing it makes."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".envs" / "ros"
COLCON = ENVIRONMENT / "bin" / "colcon"
CYCLONE = ROOT / ".envs" / "cyclonedds" / "bin" / "python"
_BOOTSTRAP = ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH")  # of another interpreter's ROS libraries


def clean_environment(**more: str) -> dict[str, str]:
    """What a program of another environment may be started with."""
    return {name: value for name, value in os.environ.items() if name not in _BOOTSTRAP} | more


def build(folder: Path, options: Sequence[str] = ()) -> Path:
    """The workspace's install folder."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    source = folder / "src" / "robot_bridge"
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if name.endswith((".safetensors", ".png")) or not (ROOT / name).exists():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    built = subprocess.run(
        [COLCON, "--log-base", folder / "log", "build", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{COLCON.parent}:/usr/bin:/bin", "HOME": str(folder)},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "install"


def sourced(install: Path) -> Mapping[str, str]:
    """As in a shell that sourced the workspace and nothing else."""
    shown = subprocess.run(
        ["bash", "-c", f"source {install / 'setup.bash'} && env -0"],
        capture_output=True,
        check=True,
        env=clean_environment(PATH=f"{COLCON.parent}:/usr/bin:/bin"),
        cwd=install,
    )
    pairs = (line.partition("=") for line in shown.stdout.decode().split("\0") if line)
    return {name: value for name, _, value in pairs}
