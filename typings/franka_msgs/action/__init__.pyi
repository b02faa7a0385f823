class GraspEpsilon:
    inner: float
    outer: float

class Grasp:
    class Goal:
        epsilon: GraspEpsilon
        def __init__(self, *, width: float = 0, speed: float = 0, force: float = 0) -> None: ...

    class Result:
        success: bool
        error: str

class Move:
    class Goal:
        def __init__(self, *, width: float = 0, speed: float = 0) -> None: ...

class ErrorRecovery:
    class Goal: ...
