from std_msgs.msg import Header

class Vector3:
    x: float
    y: float
    z: float
    def __init__(self, *, x: float = 0, y: float = 0, z: float = 0) -> None: ...

class Point(Vector3): ...

class Quaternion:
    x: float
    y: float
    z: float
    w: float
    def __init__(self, *, x: float = 0, y: float = 0, z: float = 0, w: float = 1) -> None: ...

class Pose:
    position: Point
    orientation: Quaternion
    def __init__(self, *, position: Point = ..., orientation: Quaternion = ...) -> None: ...

class PoseStamped:
    header: Header
    pose: Pose
    def __init__(self, *, header: Header = ..., pose: Pose = ...) -> None: ...

class Twist:
    linear: Vector3
    angular: Vector3
    def __init__(self, *, linear: Vector3 = ..., angular: Vector3 = ...) -> None: ...

class TwistStamped:
    header: Header
    twist: Twist
    def __init__(self, *, header: Header = ..., twist: Twist = ...) -> None: ...

class Wrench:
    force: Vector3
    torque: Vector3
    def __init__(self, *, force: Vector3 = ..., torque: Vector3 = ...) -> None: ...

class WrenchStamped:
    header: Header
    wrench: Wrench
    def __init__(self, *, header: Header = ..., wrench: Wrench = ...) -> None: ...

class Transform:
    translation: Vector3
    rotation: Quaternion
    def __init__(self, *, translation: Vector3 = ..., rotation: Quaternion = ...) -> None: ...

class TransformStamped:
    header: Header
    child_frame_id: str
    transform: Transform
    def __init__(
        self, *, header: Header = ..., child_frame_id: str = ..., transform: Transform = ...
    ) -> None: ...
