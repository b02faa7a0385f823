"""Pictures for an arm that has no cameras: the digital twin follows it and draws what its cameras would see.

For the simulated control interface, so that the whole chain runs without metal. The twin's own arm is pulled
to what the arm measures, some milliseconds behind, and its hand goes where the arm's hand goes; so things can
be pushed and grasped, and the truth is known. Never for a real arm: pictures of a dream would drive it.
"""

import ipaddress
import threading
import time

from robot_bridge.devices import Arm, Gripper
from robot_bridge.drivers.twin_cell import TwinCell
from robot_bridge.franka.settings import TwinPictures
from robot_bridge.open_devices import StagedScene
from robot_bridge.rig import Rig, SimulationRig
from robot_contract.errors import DeviceFault, RigError, SceneError
from robot_contract.messages import SceneSetup, TruthStatus

_PERIOD = 0.01  # [s]


class Mirror:
    """The twin behind the arm; it is the world of these devices, too."""

    def __init__(self, rig: Rig, pictures: TwinPictures, arm: Arm, gripper: Gripper) -> None:
        _require_simulated(rig)
        simulation = SimulationRig(clock="real", policy_latency=0.0, split=pictures.split, seed=pictures.seed)
        self._cell = TwinCell(rig, simulation)
        self.cameras = self._cell.world.cameras
        self._arm, self._gripper = arm, gripper
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twin-mirror", daemon=True)
        self._thread.start()

    def stage(self, setup: SceneSetup) -> StagedScene:
        del setup
        raise SceneError("the scene behind a franka arm is the one that its rig names")

    def begin_episode(self) -> None:
        self._cell.begin_episode()

    def truth(self) -> TruthStatus:
        return self._cell.truth()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=2.0)
        self._cell.close()

    def _run(self) -> None:
        twin = self._cell.world
        while not self._closing.is_set():
            try:
                arm, gripper = self._arm.read(), self._gripper.read()
                if twin.arm.read().fault is not None:
                    twin.arm.recover()  # nobody can be hurt by a picture
                twin.arm.track(arm.flange_pose, arm.joint_position)
                twin.gripper.move(gripper.width)
            except DeviceFault:
                pass  # an arm that does not answer is told by itself; its pictures stand still meanwhile
            time.sleep(_PERIOD)


def _require_simulated(rig: Rig) -> None:
    address = rig.arm.options["address"]
    try:
        is_here = ipaddress.ip_address(address).is_loopback
    except ValueError:
        is_here = address == "localhost"
    if not is_here or rig.arm.options["realtime"] != "ignore":
        raise RigError(
            f"{rig.file.name}: franka.twin_pictures: the twin draws pictures for a simulated control"
            f" interface on this machine only, with realtime: ignore; this rig's arm is at {address}"
        )
