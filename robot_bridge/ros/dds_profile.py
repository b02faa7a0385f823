"""The Fast DDS profiles that are shipped, and which one this process runs with. Needs no ROS."""

import os
from importlib.resources import files
from pathlib import Path

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # new name, Jazzy's own


def profile_file(*, one_machine: bool) -> Path:
    """Room for pictures in shared memory; `one_machine` keeps everything else on loopback."""
    name = "fastdds_one_machine.xml" if one_machine else "fastdds.xml"
    return Path(str(files("robot_bridge.ros") / name))


def environment(*, one_machine: bool) -> dict[str, str]:
    """What a launch file sets for a node that is to use the profile."""
    return dict.fromkeys(VARIABLES, str(profile_file(one_machine=one_machine)))


def profile_in_force() -> str:
    """The file that Fast DDS was told to read; empty for its defaults."""
    return next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")
