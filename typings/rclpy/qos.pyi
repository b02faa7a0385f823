from enum import Enum

from rclpy.duration import Duration

class ReliabilityPolicy(Enum):
    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2

class DurabilityPolicy(Enum):
    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2

class HistoryPolicy(Enum):
    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2

class LivelinessPolicy(Enum):
    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3

class QoSProfile:
    reliability: ReliabilityPolicy
    durability: DurabilityPolicy
    history: HistoryPolicy
    liveliness: LivelinessPolicy
    deadline: Duration
    depth: int
    def __init__(
        self,
        *,
        reliability: ReliabilityPolicy = ...,
        durability: DurabilityPolicy = ...,
        history: HistoryPolicy = ...,
        liveliness: LivelinessPolicy = ...,
        deadline: Duration = ...,
        depth: int = ...,
    ) -> None: ...
