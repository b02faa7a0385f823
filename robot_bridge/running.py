"""What `robot-bridge run` does between reading the rig and Ctrl-C."""

import contextlib
import logging
import threading
from collections.abc import Callable

from robot_bridge.bridge import Bridge
from robot_bridge.open_devices import open_devices
from robot_bridge.operator_server import OperatorServer
from robot_bridge.recording.recorder import TrialRecorder
from robot_bridge.records import NoRecorder, Recorder
from robot_bridge.rig import Rig
from robot_bridge.run_options import RunOptions, with_options
from robot_contract.channel import TlsFiles
from robot_contract.client import BlockingPolicyClient

_log = logging.getLogger(__name__)


def open_recorder(rig: Rig, *, record: bool = True) -> Recorder:
    if not record:
        return NoRecorder()
    return TrialRecorder(rig.recording.folder, free_space_floor=rig.recording.free_space_floor)


class RunningBridge:
    """A bridge with its policy client and its operator service: what a program needs to start and to end.

    What was opened is given back where a later part of it cannot be opened.
    """

    def __init__(self, rig: Rig, options: RunOptions) -> None:
        self.rig = rig = with_options(rig, options)
        server_tls = rig.policy_server.tls_folder
        operator_tls = rig.operator.tls_folder
        with contextlib.ExitStack() as opened:
            client = BlockingPolicyClient(
                rig.policy_server.address,
                tls=TlsFiles.in_folder(server_tls, "bridge") if server_tls is not None else None,
            )
            opened.callback(client.close)
            devices = open_devices(rig)
            opened.callback(devices.close)
            recorder = open_recorder(rig, record=options.record)
            opened.callback(recorder.close)
            self.bridge = Bridge(rig, devices, client, recorder=recorder, dry_run=options.dry_run)
            self._server = OperatorServer(
                self.bridge,
                rig.operator.address,
                TlsFiles.in_folder(operator_tls, "bridge") if operator_tls is not None else None,
            )
            opened.pop_all()
        self._client = client

    @property
    def port(self) -> int:
        """Of OperatorService."""
        return self._server.port

    def start(self) -> None:
        self.bridge.start()
        self._server.start()
        rig = self.rig
        _log.info(
            "rig %s (%s, profile %s) serves operators on port %d and asks %s",
            *(rig.name, rig.arm.driver, rig.limits.profile.name, self.port, rig.policy_server.address),
        )

    def close(self) -> None:
        self.bridge.close()
        self._server.close()
        self._client.close()


def run_bridge(
    rig: Rig, options: RunOptions, ending: threading.Event, *, is_up: Callable[[int], None]
) -> None:
    """Run until `ending` is set; `is_up` gets the port of OperatorService."""
    running = RunningBridge(rig, options)
    try:
        running.start()
        is_up(running.port)
        while not ending.wait(0.5):
            if problems := running.bridge.control.problems():
                _log.error("%s", problems[0])
                break
    finally:
        running.close()


def check_rig(rig: Rig) -> str:
    """A summary of a rig for people."""
    limits, p = rig.limits, rig.limits.profile
    lines = [
        f"rig       {rig.name} ({rig.file})",
        f"arm       {rig.arm.driver} {rig.arm.id}, limits of {limits.arm.name}",
        f"profile   {p.name}: {p.speed:g} m/s, {p.acceleration:g} m/s^2, {p.jerk:g} m/s^3",
        f"          {p.angular_speed:g} rad/s, {p.angular_acceleration:g} rad/s^2",
        f"workspace {limits.workspace.low.tolist()} to {limits.workspace.high.tolist()} m",
        f"          table at {limits.table_height:g} m, {len(limits.keep_out)} keep-out boxes",
        f"tool      {', '.join(point.name for point in limits.tool_points)}",
        f"hold      {'the key has to be held' if rig.hold_to_run else 'no key needed (simulated robot)'}",
        f"loop      {rig.control_rate_hz:g} Hz",
    ]
    for camera in rig.cameras:
        lines.append(
            f"camera    {camera.name}: {camera.driver} {camera.serial}, {camera.mount}, {camera.width}x"
            f"{camera.height} at {camera.rate_hz:g} Hz{' with depth' if camera.depth else ''}; pictures over"
            f" {rig.camera_age_limit(camera) * 1000:.0f} ms are not believed"
        )
    return "\n".join(lines)
