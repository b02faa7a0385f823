"""Put-on's suite: what a policy of it sees and does, and how its simulator is opened."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from policy_server.preprocessing import OPENVLA_PROMPT
from robot_bridge.rig_file import load_rig
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS, MAX_ROTATION, MAX_TRANSLATION
from robot_bridge.scene.splits import split_names
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.truth import FLANGE_FROM_TCP
from robot_contract.policy_contract import CameraContract, GripperContract, Mount
from robot_contract.pose import Pose
from sim_train.put_on.conditions import SPREADS, Preset, Spread, sized_by
from sim_train.simulation import Simulation
from sim_train.suites import Suite
from sim_train.vector import Cells

if TYPE_CHECKING:
    from sim_train.put_on.cameras import PutOnCamera

SIZE = 96  # [px] of a policy's picture
DRAWN = 192  # [px] before it is made smaller, so that edges are smooth
CUT = 0.9  # of the camera's height: the middle, in which the training area lies
GRIPPER = GripperContract(max_width=0.08, close_below=0.4, open_above=0.6)


def _camera(name: str, mount: Mount) -> CameraContract:
    whole = TwinSettings().cameras[name].vertical_field_of_view
    return CameraContract(
        name=name,
        mount=mount,
        vertical_field_of_view=float(2.0 * np.arctan(np.tan(0.5 * whole) * CUT)),
        crop_width=CUT,
        crop_height=CUT,
        width=SIZE,
        height=SIZE,
    )


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How put-on is played: how fast, for how long, and in which conditions."""

    rate_hz: float = CONTROL_RATE_HZ
    episode_steps: int = EPISODE_STEPS
    conditions: Preset = "plain"
    look: Literal["fast", "full", "scanned"] = "fast"


SETTINGS = {
    "put-on": Setting(),
    "put-on-sim2real": Setting(conditions="sim2real"),
    "put-on-scanned": Setting(look="scanned"),  # needs the extra `libero` for its meshes
    "put-on-rl4vla": Setting(rate_hz=5.0, episode_steps=80),  # as the benchmark was published
}


def _open(cameras: tuple[str, ...], setting: Setting, rig: Path | None) -> Simulation:
    from sim_train.put_on.simulation import PutOnSimulation

    drawn, spread = _seen(cameras, setting, rig)
    return PutOnSimulation(
        drawn,
        size=SIZE,
        look=setting.look,
        conditions=spread,
        episode_steps=setting.episode_steps,
        rate_hz=setting.rate_hz,
    )


def _open_batch(cameras: tuple[str, ...], setting: Setting, rig: Path | None, count: int) -> Cells:
    from sim_train.put_on.batch_cells import BatchedCells
    from sim_train.put_on.batch_environment import PutOnBatch

    drawn, spread = _seen(cameras, setting, rig)
    batch = PutOnBatch(count, cameras=drawn, rate_hz=setting.rate_hz, look=setting.look, conditions=spread)
    return BatchedCells(batch, size=SIZE, rate_hz=setting.rate_hz, episode_steps=setting.episode_steps)


def _seen(
    cameras: tuple[str, ...], setting: Setting, rig: Path | None
) -> "tuple[dict[str, PutOnCamera], Spread]":
    """The cameras as they are drawn, and how widely conditions are."""
    from sim_train.put_on.cameras import default_cameras, rig_cameras

    spread = SPREADS[setting.conditions]
    drawn = default_cameras(crop=CUT, size=DRAWN)
    if rig is not None:
        loaded = load_rig(rig)
        drawn = rig_cameras(loaded, crop=CUT, size=DRAWN)
        if setting.conditions != "plain":
            for camera in loaded.cameras:
                spread = sized_by(spread, camera.calibration) if camera.calibration else spread
    return {name: drawn[name] for name in cameras}, spread


def put_on_suite(name: str = "put-on", *, wrist_camera: bool = False, rig: Path | None = None) -> Suite:
    """One external camera, as the tiny policy has it; the wrist's costs as much again.

    With a rig file the cameras stand where its calibrations say.
    """
    setting = SETTINGS[name]
    cameras = (_camera("external", "external"), *([_camera("wrist", "wrist")] if wrist_camera else []))
    names = tuple(camera.name for camera in cameras)
    return Suite(
        name=f"{name}-wrist" if wrist_camera else name,
        tasks=split_names(),
        reference="commanded_chain",
        frame="base",
        step_period=1.0 / setting.rate_hz,
        episode_steps=setting.episode_steps,
        max_translation_per_step=MAX_TRANSLATION,
        max_rotation_per_step=MAX_ROTATION,
        chunk_length=8,
        flange_from_tcp=FLANGE_FROM_TCP,
        gripper=GRIPPER,
        cameras=cameras,
        proprioception=("position", "rotation_vector", "opening", "gripper_command"),
        # Seen from a hand that points down, so that no rotation in the workspace comes near pi.
        proprioception_origin=Pose(
            position=np.array([0.5, 0.0, 0.0]), quaternion=np.array([1.0, 0.0, 0.0, 0.0])
        ),
        prompt_template=OPENVLA_PROMPT,
        open_simulation=partial(_open, names, setting, rig),  # goes to other processes
        open_batch=partial(_open_batch, names, setting, rig),
    )
