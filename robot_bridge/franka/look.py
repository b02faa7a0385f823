"""What an arm says of itself, for people."""

from robot_bridge.franka.errors import fault_sentence
from robot_bridge.franka.fci import Fci
from robot_bridge.rig import Rig


def look_at_arm(rig: Rig) -> str:
    fci = Fci(rig)
    try:
        state = fci.read()
    finally:
        fci.close()
    tcp = state.flange_pose @ rig.flange_from_tcp
    ready = not state.errors
    return "\n".join(
        [
            f"arm       {rig.arm.options['address']}, {rig.arm.model}, limits of {rig.limits.arm.name}",
            f"joints    {state.joint_position.round(3).tolist()} rad",
            f"flange    {state.flange_pose.position.round(4).tolist()} m",
            f"tool      {tcp.position.round(4).tolist()} m, as the rig's flange_from_tcp has it",
            f"force     {state.external_wrench[:3].round(1).tolist()} N on the arm, as it estimates it",
            f"state     {'ready' if ready else fault_sentence(state.errors)}",
        ]
    )
