"""Says in a sentence what is missing before `franky` is imported, instead of a loader's message."""

from importlib.util import find_spec

from robot_contract.errors import DeviceFault


def require_franky() -> None:
    if find_spec("franky") is None:
        raise DeviceFault("franky-control is not installed: pip install 'robot_bridge[franka]'")
