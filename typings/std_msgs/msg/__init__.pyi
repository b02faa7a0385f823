from builtin_interfaces.msg import Time

class Header:
    stamp: Time
    frame_id: str
    def __init__(self, *, stamp: Time = ..., frame_id: str = ...) -> None: ...

class String:
    data: str
    def __init__(self, *, data: str = ...) -> None: ...

class Float64MultiArray:
    data: list[float]
    def __init__(self, *, data: list[float] = ...) -> None: ...
