from typing import Any

class Parameter:
    name: str
    @property
    def value(self) -> Any: ...
