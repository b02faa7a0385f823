"""The ROS 2 node over real DDS: pictures lost, how late pictures and poses are, how quickly ~/stop stops.

.envs/ros/bin/python benchmarks/ros.py [--quick] [--json FILE]        (scripts/ros-env.sh makes .envs/ros)

Node and listener are two processes on one machine, with the Fast DDS profile that is shipped; the mock rig
with two cameras of 640x480 at 30 Hz, everything that the node publishes listened to at once.

image_loss       share of a camera's pictures that did not reach the listener, whoever lost them: the node
                 that looked too late, or DDS; image_loss_default_transports the same without the profile
image_p50_ms     from a picture's arrival in the bridge to the listener: tick, timer, JPEG, DDS
image_p99_ms
pose_p50_ms      from the tick that read the arm to the listener: timer, DDS
pose_p99_ms
pose_rate_hz     of tcp_pose at the listener
stop_ms          from the call of ~/stop to the last pose that was still changed, at over 0.1 m/s; median
stop_ms_max
end_ms           from SIGINT to the end of the process, arm at rest
missed_ticks     of the control loop's, while all of that was listened to
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ros")]
os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from motion import arrive, moving_arm
from report import parser, report
from ros_client import Heard, RosClient
from running_node import RunningNode
from sensor_msgs.msg import CompressedImage, JointState
from std_srvs.srv import Trigger

from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.ros.dds_profile import environment
from robot_bridge.ros.messages import pose_of
from robot_bridge.ros.quality import stream_quality
from robot_contract.client import OperatorClient
from robot_contract.messages import OperatorEvent
from robot_contract.pose import distance_between

NODE = "/robot_bridge"
RIG = load_rig(find_rig("mock"))
STATE = stream_quality("reliable", 100)
IMAGES = stream_quality("best_effort", 5)
SETTLING = 5.0  # [s] before anything counts
FAST = 0.1  # [m/s]
STANDING = 1e-7  # [m] between two poses


class Listener:
    """Everything that the node publishes, and when it came in ROS time [s]."""

    def __init__(self, client: RosClient) -> None:
        self.client = client
        self.poses = client.hear(PoseStamped, f"{NODE}/tcp_pose", STATE)
        self.sent = client.hear(PoseStamped, f"{NODE}/sent_pose", STATE)
        client.hear(TwistStamped, f"{NODE}/tcp_twist", STATE)
        client.hear(JointState, f"{NODE}/joint_states", STATE)
        self.pictures = [
            client.hear(CompressedImage, f"{NODE}/{camera.name}/image_raw/compressed", IMAGES)
            for camera in RIG.cameras
        ]

    def listen(self, seconds: float) -> None:
        for heard in (self.poses, self.sent, *self.pictures):
            heard.forget()
        time.sleep(seconds)


def stamps(heard: Heard) -> np.ndarray:
    return np.array([m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in heard.messages])


def ages(heard: Heard) -> np.ndarray:
    """[s] from the stamp to the arrival; both clocks are this machine's."""
    wall_minus_monotonic = time.time() - time.monotonic()
    count = len(heard.messages)
    return np.array(heard.arrivals[:count]) + wall_minus_monotonic - stamps(heard)[:count]


def loss(heard: Heard, rate_hz: float) -> tuple[int, int]:
    """Pictures that are missing between the first and the last that came, and how many there were."""
    steps = np.rint(np.diff(stamps(heard)) * rate_hz)
    return int((steps - 1).sum()), int(steps.sum()) + 1


def stop_once(listener: Listener, address: str) -> float:
    """[s]"""

    async def stop() -> float:
        await arrive(address, "home")
        listener.sent.forget()
        async with moving_arm(address, goal="ready", speed=FAST):
            began = time.monotonic()
            await asyncio.to_thread(listener.client.call, Trigger, f"{NODE}/stop", Trigger.Request())
            await asyncio.sleep(1.0)
            return began

    began = asyncio.run(stop())
    poses = [pose_of(m.pose) for m in listener.sent.messages]
    changed = [
        arrival
        for before, after, arrival in zip(poses, poses[1:], listener.sent.arrivals[1:], strict=False)
        if arrival >= began and distance_between(before, after) > STANDING
    ]

    async def clear() -> None:
        async with OperatorClient(address) as operator:
            await operator.send(OperatorEvent(action="clear", operator="benchmark"))

    asyncio.run(clear())
    return max(changed, default=began) - began


def missed_ticks(address: str) -> int:
    async def ask() -> int:
        async with OperatorClient(address) as operator:
            async for status in operator.watch():
                return status.missed_ticks
        raise AssertionError("no status came")

    return asyncio.run(ask())


def main() -> None:
    arguments = parser(__doc__).parse_args()
    seconds, stops = (20.0, 6) if arguments.quick else (120.0, 30)
    figures: dict[str, object] = {}
    n: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, RosClient("listener") as client:
        listener = Listener(client)
        with RunningNode(Path(folder), {"rig": "mock"}) as node:
            address = node.address()
            listener.poses.until(lambda m: len(m) > 10, 60.0)
            listener.listen(SETTLING)
            missed = missed_ticks(address)
            listener.listen(seconds)
            figures["missed_ticks"] = missed_ticks(address) - missed
            n["missed_ticks"] = round(seconds * RIG.control_rate_hz)
            lost = [
                loss(heard, camera.rate_hz)
                for heard, camera in zip(listener.pictures, RIG.cameras, strict=True)
            ]
            n["image_loss"] = sum(count for _, count in lost)
            figures["image_loss"] = sum(count for count, _ in lost) / n["image_loss"]
            late = np.concatenate(
                [
                    ages(heard) - camera.latency
                    for heard, camera in zip(listener.pictures, RIG.cameras, strict=True)
                ]
            )
            for name, values in (("image", late), ("pose", ages(listener.poses))):
                for quantile in (50, 99):
                    figures[f"{name}_p{quantile}_ms"] = 1000 * float(np.percentile(values, quantile))
                    n[f"{name}_p{quantile}_ms"] = len(values)
            span = listener.poses.arrivals[-1] - listener.poses.arrivals[0]
            figures["pose_rate_hz"] = (len(listener.poses.arrivals) - 1) / span
            times = [1000 * stop_once(listener, address) for _ in range(stops)]
            figures["stop_ms"], figures["stop_ms_max"] = float(np.median(times)), max(times)
            n["stop_ms"] = stops
            began = time.monotonic()
            os.kill(node.pid, signal.SIGINT)
            node.wait()
            figures["end_ms"] = 1000 * (time.monotonic() - began)
        listener.listen(0.0)
        with RunningNode(Path(folder), {"rig": "mock"}, profile="own") as node:
            node.address()
            listener.poses.until(lambda m: len(m) > 10, 60.0)
            listener.listen(SETTLING)
            listener.listen(seconds / 2)
            lost = [loss(heard, 30.0) for heard in listener.pictures]
            n["image_loss_default_transports"] = sum(count for _, count in lost)
            figures["image_loss_default_transports"] = (
                sum(count for count, _ in lost) / n["image_loss_default_transports"]
            )
    packages = ("ros-rclpy", "ros-fastrtps", "numpy", "simplejpeg")
    report(figures, n=n, packages=packages, json_to=arguments.json)


if __name__ == "__main__":
    for name, value in environment(one_machine=True).items():
        os.environ.setdefault(name, value)
    main()
