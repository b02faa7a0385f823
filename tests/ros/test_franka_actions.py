"""Hand and recovery by franka_msgs actions: real action servers, with interfaces that are generated here.

The wheels have no franka_msgs; `franka_msgs/` beside this file has what the driver reads of it, by its names.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from workspace import ENVIRONMENT, clean_environment, sourced

HERE = Path(__file__).parent
PYTHON = str(ENVIRONMENT / "bin" / "python")
GENERATORS = ENVIRONMENT / "share" / "rosidl_default_generators"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (GENERATORS.exists() and shutil.which("cmake") and shutil.which("g++")),
        reason="interfaces are generated with cmake, g++ and the wheels of `scripts/ros-env.sh interfaces`",
    ),
]


def test_hand_and_recovery_by_actions(tmp_path: Path) -> None:
    shutil.copytree(HERE / "franka_msgs", tmp_path / "src" / "franka_msgs")
    tools = f"{ENVIRONMENT / 'bin'}:/usr/bin:/bin"
    prefix = str(ENVIRONMENT)
    built = subprocess.run(
        ["colcon", "build", "--cmake-args", "-DBUILD_TESTING=OFF"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(PATH=tools, AMENT_PREFIX_PATH=prefix, CMAKE_PREFIX_PATH=prefix),
    )
    assert built.returncode == 0, built.stdout + built.stderr
    there = sourced(tmp_path / "install")
    settings = {name: value for name, value in os.environ.items() if name.startswith(("ROS_", "OMP_"))}
    python_path = f"{there.get('PYTHONPATH', '')}:{HERE.parents[1]}:{HERE}"
    environment = {**there, **settings, "PYTHONPATH": python_path}
    with subprocess.Popen(
        [PYTHON, str(HERE / "franka_system.py")], stdout=subprocess.PIPE, text=True, env=environment
    ) as system:
        try:
            assert system.stdout is not None
            assert system.stdout.readline() == "stands\n"
            client = subprocess.run(
                [PYTHON, str(HERE / "franka_actions_client.py"), str(system.pid)],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=240.0,
            )
        finally:
            system.terminate()
    assert client.returncode == 0, client.stdout + client.stderr
    assert "all holds" in client.stdout
