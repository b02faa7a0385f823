"""An arm's controller on Eclipse Cyclone DDS, without any ROS: what it hears and says is plain DDS.

python cyclone_arm.py DOMAIN X Y Z QX QY QZ QW J1 .. J7

Stands at that pose and those joints; prints a line per target it gets on `target_pose`, and one per pose on
the bridge node's `tcp_pose`.
"""

import sys
import time
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import float64, int32, sequence, uint32
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

LOOPBACK = """<CycloneDDS><Domain id="any"><General>
<Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces><AllowMulticast>false</AllowMulticast>
</General><Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>50</MaxAutoParticipantIndex>
<Peers><Peer address="127.0.0.1"/></Peers><SPDPInterval>1s</SPDPInterval></Discovery></Domain></CycloneDDS>"""


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Point(IdlStruct, typename="geometry_msgs::msg::dds_::Point_"):
    x: float64
    y: float64
    z: float64


@dataclass
class Quaternion(IdlStruct, typename="geometry_msgs::msg::dds_::Quaternion_"):
    x: float64
    y: float64
    z: float64
    w: float64


@dataclass
class Pose(IdlStruct, typename="geometry_msgs::msg::dds_::Pose_"):
    position: Point
    orientation: Quaternion


@dataclass
class PoseStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PoseStamped_"):
    header: Header
    pose: Pose


@dataclass
class JointState(IdlStruct, typename="sensor_msgs::msg::dds_::JointState_"):
    header: Header
    name: sequence[str]
    position: sequence[float64]
    velocity: sequence[float64]
    effort: sequence[float64]


RELIABLE = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10))


def main() -> None:
    domain, numbers = int(sys.argv[1]), [float(word) for word in sys.argv[2:]]
    pose = Pose(position=Point(*numbers[:3]), orientation=Quaternion(*numbers[3:7]))
    joints = [*numbers[7:], 0.04]
    names = [*(f"fr3_joint{i}" for i in range(1, 8)), "fr3_finger_joint1"]
    configured = Domain(domain, LOOPBACK)
    participant = DomainParticipant(domain)
    poses = DataWriter(participant, Topic(participant, "rt/current_pose", PoseStamped), qos=RELIABLE)
    states = DataWriter(participant, Topic(participant, "rt/joint_states", JointState), qos=RELIABLE)
    heard = {
        name: DataReader(participant, Topic(participant, f"rt/{name}", PoseStamped), qos=RELIABLE)
        for name in ("target_pose", "robot_bridge/tcp_pose")
    }
    print("stands", flush=True)
    until = time.monotonic() + 300.0
    while time.monotonic() < until:
        now = time.time_ns()
        header = Header(
            stamp=Time(sec=now // 1_000_000_000, nanosec=now % 1_000_000_000), frame_id="fr3_link0"
        )
        poses.write(PoseStamped(header=header, pose=pose))
        states.write(JointState(header=header, name=names, position=joints, velocity=[0.0] * 8, effort=[]))
        for name, reader in heard.items():
            for sample in reader.take(100):
                if not isinstance(sample, PoseStamped):
                    continue  # a publisher has gone
                p = sample.pose.position
                print(name, sample.header.frame_id, p.x, p.y, p.z, flush=True)
        time.sleep(0.01)
    del configured


if __name__ == "__main__":
    main()
