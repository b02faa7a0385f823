"""libfranka tells what the arm does to the world at the tool; we, what the world does to the flange."""

import numpy as np
import pytest

pytest.importorskip("franky", reason="the extra `franka` is not installed")

from robot_bridge.franka.fci import wrench_at_flange
from robot_contract.pose import Pose


def test_a_table_that_pushes_up_at_the_fingertips() -> None:
    flange = Pose.from_rotation_vector([0.5, 0.0, 0.3], [np.pi, 0.0, 0.0])
    tcp = Pose(position=np.array([0.52, 0.0, 0.2]), quaternion=flange.quaternion)
    told = np.array([0.0, 0.0, -10.0, 0.0, 0.0, 0.0])  # the arm pushes down with 10 N
    found = wrench_at_flange(told, tcp, flange)
    assert np.allclose(found[:3], [0.0, 0.0, 10.0])
    assert np.allclose(found[3:], [0.0, -0.2, 0.0])  # at 20 mm in front of the flange
