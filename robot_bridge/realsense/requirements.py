"""Says in a sentence what is missing before `pyrealsense2` is imported, instead of a loader's message."""

import sys
from ctypes.util import find_library
from importlib.util import find_spec

from robot_contract.errors import DeviceFault


def missing_requirement() -> str:
    """What to install for RealSense cameras; empty when all is there."""
    if find_spec("pyrealsense2") is None:
        return "pyrealsense2 is not installed: pip install 'robot_bridge[realsense]'"
    if sys.platform == "linux" and find_library("usb-1.0") is None:
        return "libusb is not installed, which pyrealsense2 loads: apt-get install libusb-1.0-0"
    return ""


def require_sdk() -> None:
    missing = missing_requirement()
    if missing:
        raise DeviceFault(missing)
