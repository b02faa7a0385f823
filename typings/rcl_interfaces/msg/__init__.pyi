class FloatingPointRange:
    def __init__(self, *, from_value: float = 0, to_value: float = 0, step: float = 0) -> None: ...

class IntegerRange:
    def __init__(self, *, from_value: int = 0, to_value: int = 0, step: int = 0) -> None: ...

class ParameterDescriptor:
    name: str
    description: str
    additional_constraints: str
    floating_point_range: list[FloatingPointRange]
    integer_range: list[IntegerRange]
    def __init__(self, *, name: str = ..., description: str = ...) -> None: ...

class SetParametersResult:
    successful: bool
    reason: str
    def __init__(self, *, successful: bool = ..., reason: str = ...) -> None: ...
