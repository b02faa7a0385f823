"""Opens the RealSense cameras of a rig, all on one bus."""

from collections.abc import Sequence

from robot_bridge.realsense.bus import CameraBus, ColourMode
from robot_bridge.realsense.camera import Patience, RealSenseCamera
from robot_bridge.realsense.playback import plug_in
from robot_bridge.rig import CameraRig
from robot_contract.errors import RigError

_PLAYBACK = Patience(warm_up=0.0, restart_after=0.5)


def open_realsense(cameras: Sequence[CameraRig]) -> dict[str, RealSenseCamera]:
    """Every camera by its name in the rig. When one does not open, those before it are closed again."""
    bus = CameraBus()
    opened: dict[str, RealSenseCamera] = {}
    try:
        for camera in cameras:
            opened[camera.name] = _open(bus, camera)
    except BaseException:
        for camera in opened.values():
            camera.close()
        raise
    return opened


def _open(bus: CameraBus, camera: CameraRig) -> RealSenseCamera:
    if camera.rate_hz != int(camera.rate_hz):
        raise RigError(f"camera {camera.name}: RealSense rates are whole numbers, found {camera.rate_hz:g}")
    if camera.playback is not None:
        recorded = plug_in(bus, camera.playback)
        if recorded != camera.serial:
            raise RigError(
                f"camera {camera.name}: {camera.playback.name} is of {recorded}, not {camera.serial}"
            )
    return RealSenseCamera(
        bus,
        camera.serial,
        ColourMode(width=camera.width, height=camera.height, rate_hz=int(camera.rate_hz)),
        latency=camera.latency,
        with_depth=camera.depth,
        patience=_PLAYBACK if camera.playback is not None else None,
    )
