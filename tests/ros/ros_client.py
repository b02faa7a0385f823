"""Somebody else in the ROS graph: hears topics and calls services, spun by a thread of its own."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

M = TypeVar("M")

TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown": Transition.TRANSITION_INACTIVE_SHUTDOWN,
}


class Heard(Generic[M]):
    """What came on one topic, with the time of arrival [s]."""

    def __init__(self) -> None:
        self.messages: list[M] = []
        self.arrivals: list[float] = []

    def take(self, message: M) -> None:
        self.messages.append(message)
        self.arrivals.append(time.monotonic())

    def forget(self) -> None:
        self.messages.clear()
        self.arrivals.clear()

    def until(self, holds: Callable[[list[M]], bool], seconds: float = 30.0) -> list[M]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds(self.messages):
                return list(self.messages)
            time.sleep(0.01)
        raise AssertionError(f"not within {seconds:g} s; {len(self.messages)} came, {self.messages[-1:]}")


class RosClient:
    def __init__(self, name: str = "tester") -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def hear(self, kind: type[Any], topic: str, quality: QoSProfile) -> Heard[Any]:
        heard: Heard[Any] = Heard()
        self.node.create_subscription(kind, topic, heard.take, quality)
        return heard

    def call(self, kind: type[Any], service: str, request: Any, seconds: float = 60.0) -> Any:
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(timeout_sec=seconds), f"nobody offers {service}"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(seconds), f"{service} did not answer"
        self.node.destroy_client(client)
        return future.result()

    def state_of(self, node: str) -> str:
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def change_state(self, node: str, transition: str) -> bool:
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
        return self.call(ChangeState, f"{node}/change_state", request).success

    def close(self) -> None:
        self._ending.set()
        self._thread.join(10.0)
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.05)
