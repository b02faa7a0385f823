"""From the bridge's values to ROS messages; pure, so that each field can be tested without a node."""

from array import array

import numpy as np
import simplejpeg
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    PoseStamped,
    Quaternion,
    Twist,
    TwistStamped,
    Vector3,
    Wrench,
    WrenchStamped,
)
from geometry_msgs.msg import Pose as PoseMessage
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from std_msgs.msg import Header

from robot_bridge.devices import ArmState, Frame, GripperState
from robot_bridge.rig import CameraRig
from robot_bridge.ros.frames import Names
from robot_bridge.status import tcp_twist
from robot_contract.pose import Pose, Vector

IMAGE_FORMAT = "rgb8; jpeg compressed bgr8"  # as image_transport's compressed plugin writes it


def pose_message(pose: Pose) -> PoseMessage:
    x, y, z = pose.position.tolist()
    qx, qy, qz, qw = pose.quaternion.tolist()
    return PoseMessage(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_stamped(pose: Pose, frame: str, stamp: Time) -> PoseStamped:
    return PoseStamped(header=Header(frame_id=frame, stamp=stamp), pose=pose_message(pose))


def pose_of(message: PoseMessage) -> Pose:
    """The pose as it came; whoever uses it checks that it is finite and its quaternion of unit length."""
    p, q = message.position, message.orientation
    return Pose(position=np.array([p.x, p.y, p.z]), quaternion=np.array([q.x, q.y, q.z, q.w]))


def twist_stamped(arm: ArmState, flange_from_tcp: Vector, frame: str, stamp: Time) -> TwistStamped:
    """Measured velocity of the tool centre point, in the base frame."""
    twist = tcp_twist(arm, flange_from_tcp)
    return TwistStamped(
        header=Header(frame_id=frame, stamp=stamp),
        twist=Twist(linear=_vector(twist[:3]), angular=_vector(twist[3:])),
    )


def wrench_stamped(arm: ArmState, frame: str, stamp: Time) -> WrenchStamped:
    wrench = arm.external_wrench
    return WrenchStamped(
        header=Header(frame_id=frame, stamp=stamp),
        wrench=Wrench(force=_vector(wrench[:3]), torque=_vector(wrench[3:])),
    )


def joint_state(arm: ArmState, gripper: GripperState, names: Names, stamp: Time) -> JointState:
    """The arm's joints [rad], [rad/s] and the fingers [m], half the width each."""
    finger = 0.5 * gripper.width
    return JointState(
        header=Header(frame_id=names.base, stamp=stamp),
        name=list(names.joints),
        position=[*arm.joint_position.tolist(), finger, finger],
        velocity=[*arm.joint_velocity.tolist(), 0.0, 0.0],
    )


def compressed_image(frame: Frame, frame_id: str, stamp: Time, quality: int) -> CompressedImage:
    picture = frame.picture if frame.picture.flags.c_contiguous else np.ascontiguousarray(frame.picture)
    jpeg = simplejpeg.encode_jpeg(picture, quality=quality, colorspace="RGB", colorsubsampling="420")
    return CompressedImage(
        header=Header(frame_id=frame_id, stamp=stamp), format=IMAGE_FORMAT, data=array("B", jpeg)
    )


def camera_info(camera: CameraRig, frame_id: str, stamp: Time) -> CameraInfo:
    """Calibrated intrinsics where the rig has a calibration, else those of its field of view."""
    if camera.calibration is not None:
        matrix, distortion = camera.calibration.matrix, camera.calibration.distortion.tolist()
    else:
        matrix, distortion = pinhole(camera), [0.0] * 5
    (fx, skew, cx), (_, fy, cy), _ = matrix.tolist()
    return CameraInfo(
        header=Header(frame_id=frame_id, stamp=stamp),
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        d=distortion,
        k=matrix.ravel().tolist(),
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, skew, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def pinhole(camera: CameraRig) -> Vector:
    """(3, 3) intrinsics [px] of square pixels and the vertical field of view."""
    focal = 0.5 * camera.height / np.tan(0.5 * camera.vertical_field_of_view)
    centre = 0.5 * (camera.width - 1), 0.5 * (camera.height - 1)
    return np.array([[focal, 0.0, centre[0]], [0.0, focal, centre[1]], [0.0, 0.0, 1.0]])


def _vector(values: Vector) -> Vector3:
    x, y, z = values.tolist()
    return Vector3(x=x, y=y, z=z)
