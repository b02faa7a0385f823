from array import array
from collections.abc import Sequence

from std_msgs.msg import Header

class JointState:
    header: Header
    name: list[str]
    position: Sequence[float]
    velocity: Sequence[float]
    effort: Sequence[float]
    def __init__(
        self,
        *,
        header: Header = ...,
        name: list[str] = ...,
        position: Sequence[float] = ...,
        velocity: Sequence[float] = ...,
        effort: Sequence[float] = ...,
    ) -> None: ...

class CompressedImage:
    header: Header
    format: str
    data: array[int]
    def __init__(self, *, header: Header = ..., format: str = ..., data: array[int] = ...) -> None: ...

class CameraInfo:
    header: Header
    height: int
    width: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    r: Sequence[float]
    p: Sequence[float]
    def __init__(
        self,
        *,
        header: Header = ...,
        height: int = ...,
        width: int = ...,
        distortion_model: str = ...,
        d: Sequence[float] = ...,
        k: Sequence[float] = ...,
        r: Sequence[float] = ...,
        p: Sequence[float] = ...,
    ) -> None: ...
