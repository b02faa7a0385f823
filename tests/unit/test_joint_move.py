"""A motion to a pose ends in words that are true: "the command was sent" is not "the arm is there"."""

import numpy as np

from robot_bridge.joint_move import ARRIVED, plan_joint_move
from robot_bridge.kinematics import flange_pose
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.pose import Pose

LIMITS = load_rig(find_rig("mock")).limits
HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
GOAL = HOME + 0.1


def beside(pose: Pose, distance: float) -> Pose:
    return Pose(position=pose.position + np.array([distance, 0.0, 0.0]), quaternion=pose.quaternion)


def test_arrival_needs_the_arm_itself() -> None:
    move = plan_joint_move(HOME, GOAL, LIMITS, now=0.0)
    goal = flange_pose(GOAL)
    assert move.outcome(goal, goal) == ARRIVED
    assert move.outcome(goal, beside(goal, 0.008)) == ARRIVED, "a soft arm stands a little beside"
    assert "stands 20 mm" in move.outcome(goal, beside(goal, 0.02))
    assert "stands 117 mm" in move.outcome(goal, beside(goal, 0.117))
    assert "came to rest 20 mm" in move.outcome(beside(goal, 0.02), goal)
    nowhere = Pose(position=[np.nan] * 3, quaternion=goal.quaternion)
    assert move.outcome(goal, nowhere) != ARRIVED
