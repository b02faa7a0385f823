"""From a view of a cell to the observation that a robot would send: the serving pipeline from its first byte.

Pictures become JPEG exactly as the bridge makes it, so that what decodes them decodes what it was trained on.
"""

from dataclasses import dataclass

from robot_bridge.observation import encode_for_policy
from robot_contract.errors import ContractError, nearest_name
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import CameraContract, PolicyContract
from robot_contract.pose import angle_between, distance_between
from sim_train.simulation import Picture
from sim_train.suites import Suite
from sim_train.vector import View

_DEADLINE = 60.0  # [s] nothing moves while an evaluation waits


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """One cell's question."""

    view: View
    instruction: str  # what the policy is told
    session: str  # one per episode
    sequence: int  # within the session


def observation_of(asked: Asked, contract: PolicyContract, suite: Suite) -> Observation:
    reading = asked.view.reading
    observed_at = asked.sequence * contract.execute_steps * suite.step_period
    return Observation(
        policy=contract.name,
        session=asked.session,
        sequence=asked.sequence,
        observed_at=observed_at,
        images={
            camera.name: _image(asked.view.pictures[camera.name], camera, observed_at)
            for camera in contract.cameras
        },
        tcp_pose=reading.tcp_pose,
        joint_position=reading.joint_position,
        gripper_width=reading.gripper_width,
        gripper_command=reading.gripper_command,
        instruction=asked.instruction,
        deadline=_DEADLINE,
    )


def _image(picture: Picture, camera: CameraContract, exposed_at: float) -> CameraImage:
    return CameraImage(
        jpeg=encode_for_policy(picture), width=camera.width, height=camera.height, exposed_at=exposed_at
    )


def require_fit(contract: PolicyContract, suite: Suite) -> None:
    """Raise with every reason why this policy means something else than the suite does."""
    problems = suite_problems(contract, suite)
    if problems:
        raise ContractError(
            f"policy {contract.name!r} does not fit suite {suite.name}: {'; '.join(problems)}"
        )


def suite_problems(contract: PolicyContract, suite: Suite) -> list[str]:
    problems: list[str] = []

    def want(holds: bool, phrase: str) -> None:
        if not holds:
            problems.append(phrase)

    want(contract.reference == suite.reference, f"reference {contract.reference}, there {suite.reference}")
    want(contract.frame == suite.frame, f"frame {contract.frame}, there {suite.frame}")
    want(
        abs(contract.step_period - suite.step_period) <= 1e-6,
        f"steps of {contract.step_period:g} s, there {suite.step_period:g} s",
    )
    want(contract.time_stretch == 1.0, f"time_stretch {contract.time_stretch:g}, a simulation stretches none")
    want(
        contract.max_translation_per_step <= suite.max_translation_per_step * (1 + 1e-6),
        f"up to {contract.max_translation_per_step * 1000:g} mm a step, there"
        f" {suite.max_translation_per_step * 1000:g} mm",
    )
    want(
        contract.max_rotation_per_step <= suite.max_rotation_per_step * (1 + 1e-6),
        f"up to {contract.max_rotation_per_step:g} rad a step, there {suite.max_rotation_per_step:g} rad",
    )
    want(
        distance_between(contract.flange_from_tcp, suite.flange_from_tcp) <= 1e-3
        and angle_between(contract.flange_from_tcp, suite.flange_from_tcp) <= 1e-2,
        "another tool (flange_from_tcp)",
    )
    want(
        abs(contract.gripper.max_width - suite.gripper.max_width) <= 1e-3,
        f"a gripper of {contract.gripper.max_width * 1000:g} mm, there {suite.gripper.max_width * 1000:g} mm",
    )
    known = {camera.name: camera for camera in suite.cameras}
    for camera in contract.cameras:
        if camera.name not in known:
            problems.append(f"no camera {camera.name!r}; {nearest_name(camera.name, known)}")
            continue
        theirs = known[camera.name]
        want(
            (camera.width, camera.height) == (theirs.width, theirs.height),
            f"camera {camera.name} of {camera.width} x {camera.height} px, there {theirs.width} x"
            f" {theirs.height} px",
        )
    return problems
