"""From the bridge's status to a DiagnosticArray: what is well, what is not, in the bridge's own sentences."""

from collections.abc import Mapping, Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from robot_bridge.rig import Rig
from robot_contract.messages import BridgeStatus, CameraStatus

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_NO_ROOM = 1 << 30  # [bytes] of free space that are worth a warning


def diagnostic_array(
    node: str, statuses: Sequence[DiagnosticStatus], hardware: str, stamp: Time
) -> DiagnosticArray:
    """The statuses, each under the node's name."""
    for status in statuses:
        status.name = f"{node}: {status.name}"
        status.hardware_id = hardware
    return DiagnosticArray(header=Header(stamp=stamp), status=list(statuses))


def bridge_statuses(rig: Rig, status: BridgeStatus, new_misses: int) -> list[DiagnosticStatus]:
    """`new_misses` are the ticks that were missed since the last time."""
    return [
        _mode(status),
        _arm(rig, status),
        _loop(rig, status, new_misses),
        *(_camera(camera) for camera in status.cameras),
        _server(status),
        _recording(status),
    ]


def graph_status(problems: Sequence[str], profile: str) -> DiagnosticStatus:
    return _status(
        "ROS graph",
        WARN if problems else OK,
        "; ".join(problems) or "one node of this name; everyone who listens is heard",
        {"Fast DDS profile": profile or "none: default transports, 512 KiB of shared memory"},
    )


def lifecycle_status(message: str) -> DiagnosticStatus:
    """While there is no bridge."""
    return _status("bridge", WARN, message, {})


def _mode(status: BridgeStatus) -> DiagnosticStatus:
    level = OK
    if status.mode == "FAULT":
        level = ERROR
    elif status.mode == "HOLDING" or status.problems:
        level = WARN
    message = f"{status.mode}: {status.why}"
    if status.problems:
        message += f"; arming is refused: {'; '.join(status.problems)}"
    values = {
        "mode": status.mode,
        "needs": status.needs,
        "rig": status.rig,
        "driver": status.driver,
        "trial": status.trial_id,
        "policy": status.policy,
        "verdict": status.verdict.kind,
        "reasons": "; ".join(status.verdict.reasons),
    }
    return _status("bridge", level, message, values)


def _arm(rig: Rig, status: BridgeStatus) -> DiagnosticStatus:
    limit = rig.limits.arm_age
    fresh = status.arm_age <= limit + rig.tick_period
    message = "state is fresh" if fresh else f"state is {status.arm_age * 1000:.0f} ms old"
    values = {"age [ms]": f"{status.arm_age * 1000:.1f}", "age limit [ms]": f"{limit * 1000:.0f}"}
    return _status("arm", OK if fresh else ERROR, message, values)


def _loop(rig: Rig, status: BridgeStatus, new_misses: int) -> DiagnosticStatus:
    message = f"{new_misses} ticks missed in the last second" if new_misses else "on time"
    values = {
        "rate [Hz]": f"{rig.control_rate_hz:g}",
        "ticks": str(status.ticks),
        "missed ticks": str(status.missed_ticks),
    }
    return _status("control loop", WARN if new_misses else OK, message, values)


def _camera(camera: CameraStatus) -> DiagnosticStatus:
    fresh = camera.age <= camera.age_limit
    message = f"{camera.rate:.1f} Hz" if fresh else "no picture that is new enough"
    values = {
        "rate [Hz]": f"{camera.rate:.2f}",
        "age [ms]": f"{camera.age * 1000:.1f}",
        "age limit [ms]": f"{camera.age_limit * 1000:.0f}",
    }
    return _status(f"camera {camera.name}", OK if fresh else ERROR, message, values)


def _server(status: BridgeStatus) -> DiagnosticStatus:
    values = {
        "address": status.server,
        "round trip p50 [ms]": f"{status.round_trip_p50 * 1000:.1f}",
        "round trip p99 [ms]": f"{status.round_trip_p99 * 1000:.1f}",
        "late chunks": str(status.late_chunks),
    }
    connected = status.server_state == "connected"
    return _status(
        "policy server", OK if connected or not status.policy else WARN, status.server_state, values
    )


def _recording(status: BridgeStatus) -> DiagnosticStatus:
    recording = status.recording
    level = OK
    if recording.problem or recording.dropped:
        level = WARN
    message = recording.problem or ("recording" if recording.active else "ready")
    if recording.dropped:
        message += f"; {recording.dropped} records were dropped"
    values = {"file": recording.path, "free [bytes]": str(recording.free_bytes)}
    if not recording.problem and recording.free_bytes < _NO_ROOM:
        level, message = WARN, f"{message}; only {recording.free_bytes / 1e6:.0f} MB are free"
    return _status("recording", level, message, values)


def _status(name: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)
