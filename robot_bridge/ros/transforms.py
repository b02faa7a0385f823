"""Where the tool and the calibrated cameras are, on `tf`. Imported only where tf2_msgs is installed."""

from collections.abc import Sequence

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from robot_bridge.rig import CameraRig
from robot_bridge.ros.frames import Names
from robot_contract.pose import Pose

MESSAGE = TFMessage


def tool_transform(base_from_tcp: Pose, names: Names, stamp: Time) -> TFMessage:
    return TFMessage(transforms=[_transform(base_from_tcp, names.base, names.tcp, stamp)])


def camera_transforms(cameras: Sequence[CameraRig], names: Names, stamp: Time) -> TFMessage:
    """Fixed: an external camera stands in the base, a wrist camera in the flange."""
    found: list[TransformStamped] = []
    for camera in cameras:
        calibration = camera.calibration
        if calibration is not None:
            parent = names.base if calibration.parent == "base" else names.flange
            frame = names.camera(camera.name)
            found.append(_transform(calibration.parent_from_camera, parent, frame, stamp))
    return TFMessage(transforms=found)


def _transform(pose: Pose, parent: str, child: str, stamp: Time) -> TransformStamped:
    x, y, z = pose.position.tolist()
    qx, qy, qz, qw = pose.quaternion.tolist()
    return TransformStamped(
        header=Header(frame_id=parent, stamp=stamp),
        child_frame_id=child,
        transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)),
    )
