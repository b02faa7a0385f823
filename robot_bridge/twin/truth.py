"""What the twin knows of its scene, read from the physics in the terms of robot_bridge/scene."""

from collections.abc import Mapping

import mujoco
import numpy as np

from robot_bridge.scene.truth import ARM, LEFT_FINGER, RIGHT_FINGER, TABLE, SceneTruth, contact_pair
from robot_bridge.twin.hand import FIRST_FINGER
from robot_contract.pose import Pose

FLANGE_FROM_TCP = Pose(
    position=np.array([0, 0, 0.1034]), quaternion=np.array([0, 0, -np.sin(np.pi / 8), np.cos(np.pi / 8)])
)
_FLOOR = "floor"


class TruthReader:
    """Knows which geom belongs to what; made once per model."""

    def __init__(self, model: mujoco.MjModel, things: tuple[str, ...]) -> None:
        self._bodies = {name: model.body(name).id for name in things}
        self._tcp = model.site("tcp").id
        names = [ARM, LEFT_FINGER, RIGHT_FINGER, TABLE, _FLOOR, *things]
        of_body = {body: name for name, body in self._bodies.items()}
        of_body |= {model.body(name).id: name for name in (LEFT_FINGER, RIGHT_FINGER)}
        of_world = {model.geom(name).id: name for name in (TABLE, _FLOOR)}
        owner = [
            of_world.get(geom, of_body.get(int(body), ARM)) for geom, body in enumerate(model.geom_bodyid)
        ]
        self._names = names
        self._owner = np.array([names.index(name) for name in owner])

    def contacts(self, data: mujoco.MjData) -> frozenset[tuple[str, str]]:
        """Pairs that touch, each sorted."""
        geoms = data.contact.geom[data.contact.dist <= 0.0]
        pairs = np.unique(self._owner[geoms], axis=0).tolist() if len(geoms) else []
        names = self._names
        return frozenset(contact_pair(names[a], names[b]) for a, b in pairs if a != b)

    def poses(self, data: mujoco.MjData) -> Mapping[str, Pose]:
        return {name: _pose(data.xpos[body], data.xquat[body]) for name, body in self._bodies.items()}

    def read(self, data: mujoco.MjData, *, time: float, commanded_flange: Pose) -> SceneTruth:
        speeds = {name: float(np.linalg.norm(data.cvel[body][3:])) for name, body in self._bodies.items()}
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, data.site_xmat[self._tcp])
        return SceneTruth(
            time=time,
            poses=self.poses(data),
            speeds=speeds,
            contacts=self.contacts(data),
            tcp_pose=_pose(data.site_xpos[self._tcp], quaternion),
            commanded_tcp_pose=commanded_flange @ FLANGE_FROM_TCP,
            gripper_width=float(data.qpos[FIRST_FINGER] + data.qpos[FIRST_FINGER + 1]),
        )


def _pose(
    position: np.ndarray[tuple[int], np.dtype[np.float64]],
    quaternion: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Pose:
    w, x, y, z = quaternion
    return Pose(position=position, quaternion=np.array([x, y, z, w]))
