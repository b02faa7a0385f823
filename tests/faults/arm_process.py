"""The mock arm in a process of its own, so that it can be asked what it did after its bridge has gone.

python arm_process.py SOCKET
"""

import sys
from multiprocessing.managers import BaseManager
from typing import Any

import numpy as np

from robot_bridge.clock import MonotonicClock
from robot_bridge.drivers.mock import MockArm, MockFaults
from robot_bridge.rig_file import find_rig, load_rig

_KEY = b"touchdown tests"
_METHODS = ("read", "track", "stop", "recover", "close")


class _Manager(BaseManager):
    pass


def distant_arm(socket: str) -> Any:
    """The arm that listens there."""
    _Manager.register("arm", exposed=_METHODS)
    manager = _Manager(address=socket, authkey=_KEY)
    manager.connect()
    return manager.arm()  # type: ignore[attr-defined]


def main() -> None:
    rig = load_rig(find_rig("mock"))
    arm = MockArm(MonotonicClock(), np.array(rig.pose("home")), MockFaults())
    _Manager.register("arm", callable=lambda: arm, exposed=_METHODS)
    server = _Manager(address=sys.argv[1], authkey=_KEY).get_server()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
