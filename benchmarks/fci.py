"""The franka driver before a simulated control interface that enforces its limits (scripts/fci-env.sh).

python benchmarks/fci.py [--quick] [--json FILE]

tracking_rms_mm           flange against the linearly interpolated path of random 10 Hz deltas of at most
                          10 mm and 0.03 rad a step in a box of 6 cm and 0.15 rad, sent at 100 Hz; with lag
velocity_tracking_rms_mm  the same in the rig's other mode, tracking: velocity
twin_tracking_rms_mm      the same stream to the digital twin's own arm, on its stepped clock
reflexes                  of the simulated arm in those streams
stream_seconds            of streams before the simulated control interface, both modes
stop_ms                   median from Arm.stop at 0.1 m/s to a flange under 5 mm/s, as the simulator sees it
success_rate_mean         share of control packets that arrived in time, mean over the stream
link_cores                processor use of this process while it streams, libfranka's loop included

With the right to do so, this process and the simulator run at real-time priority; the figures say whether.
"""

import dataclasses
import os
import time
from collections.abc import Callable

import numpy as np
from report import parser, report
from twin import BLIND, random_path

from robot_bridge.franka.simulated import SimulatedFci, missing_environment
from robot_bridge.kinematics import flange_pose, forward
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, distance_between, interpolate

STEP = 0.01  # [s] between two targets
SLOW = 0.005  # [m/s]
STOP_SPEED = 0.001  # [m] per step


def rig_at(address: str, tracking: str) -> Rig:
    rig = load_rig(find_rig("franka_simulated"))
    assert rig.franka is not None
    options = {**rig.arm.options, "address": address, "tracking": tracking}
    return dataclasses.replace(
        rig,
        arm=dataclasses.replace(rig.arm, options=options),
        cameras=(),
        franka=dataclasses.replace(rig.franka, twin_pictures=None),
    )


def path_errors(devices: Devices, seconds: float, each: Callable[[], None]) -> tuple[list[float], str]:
    """Distances [m] to the path, every 10 ms, and the fault that ended it, if one did."""
    errors: list[float] = []
    clock = devices.clock
    before = devices.arm.read().commanded_flange_pose
    due = clock.now()
    for after in random_path(np.random.default_rng(1), before, round(seconds * 10)):
        for tick in range(10):
            wanted = interpolate(before, after, (tick + 1) / 10)
            try:
                devices.arm.track(wanted, None)
            except DeviceFault as error:
                return errors, str(error)
            due += STEP
            clock.sleep_until(due)
            errors.append(distance_between(devices.arm.read().flange_pose, wanted))
            each()
        before = after
    return errors, devices.arm.read().fault or ""


def rms_mm(errors: list[float]) -> float:
    return round(float(np.sqrt(np.mean(np.square(errors)))) * 1e3, 3)


def stream(fci: SimulatedFci, tracking: str, seconds: float) -> dict[str, object]:
    devices = open_devices(rig_at(fci.address, tracking))
    rates: list[float] = []
    link = devices.arm._link  # type: ignore[attr-defined] - the arm's own report is no part of the protocol
    began, used = time.perf_counter(), time.process_time()
    try:
        errors, fault = path_errors(devices, seconds, lambda: rates.append(link._seen.success_rate))
        cores = (time.process_time() - used) / (time.perf_counter() - began)
    finally:
        devices.close()
    if fault:
        print(f"{tracking}: after {len(errors) * STEP:.1f} s {fault}")
    warm = rates[100:]  # the first second of a motion says nothing yet
    return {
        "rms": rms_mm(errors),
        "p95": round(float(np.percentile(errors, 95)) * 1e3, 3),
        "seconds": round(len(errors) * STEP, 1),
        "reflexes": int(bool(fault)),
        "rate": round(float(np.mean(warm)), 5) if warm else None,
        "cores": round(cores, 3),
        "n": len(errors),
    }


def twin_tracking(seconds: float) -> tuple[float, int]:
    with TwinWorld(draw_scene("train", 3), BLIND) as world:
        devices = Devices(arm=world.arm, gripper=world.gripper, cameras={}, clock=world.clock)
        errors, fault = path_errors(devices, seconds, lambda: None)
        assert not fault, fault
        return rms_mm(errors), len(errors)


def stop_times(fci: SimulatedFci, stops: int) -> list[float]:
    """Milliseconds from the call to a slow flange, to and fro along y."""
    devices, times = open_devices(rig_at(fci.address, "impedance")), []
    try:
        target, side = devices.arm.read().commanded_flange_pose, 1.0
        for _ in range(stops):
            for _ in range(60):
                way = np.array([0.0, side * STOP_SPEED, 0.0])
                target = Pose(position=target.position + way, quaternion=target.quaternion)
                devices.arm.track(target, None)
                time.sleep(STEP)
            called = time.monotonic()
            devices.arm.stop()
            times.append((_slow_at(fci) - called) * 1e3)
            time.sleep(0.5)
            devices.arm.recover()
            target, side = devices.arm.read().commanded_flange_pose, -side
    finally:
        devices.close()
    return times


def _slow_at(fci: SimulatedFci) -> float:
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        state = fci.state()
        jacobian = forward(np.array(state.joint_position)).jacobian()
        if float(np.linalg.norm((jacobian @ np.array(state.joint_velocity))[:3])) < SLOW:
            return state.at
        time.sleep(0.002)
    raise AssertionError("the arm did not come to rest")


def is_realtime() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    except PermissionError:
        return False
    return True


def main() -> None:
    options = parser(__doc__).parse_args()
    if missing := missing_environment():
        raise SystemExit(missing)
    realtime = is_realtime()
    seconds = 10 if options.quick else 60
    with SimulatedFci() as fci:
        start = flange_pose(np.array(fci.state().joint_position))
        impedance = stream(fci, "impedance", seconds)
        velocity = stream(fci, "velocity", seconds)
        stops = stop_times(fci, 4 if options.quick else 10)
        way = distance_between(start, flange_pose(np.array(fci.state().joint_position)))
    twin, twin_samples = twin_tracking(seconds)
    figures: dict[str, object] = {
        "tracking_rms_mm": impedance["rms"],
        "tracking_p95_mm": impedance["p95"],
        "velocity_tracking_rms_mm": velocity["rms"],
        "velocity_tracking_p95_mm": velocity["p95"],
        "twin_tracking_rms_mm": twin,
        "reflexes": impedance["reflexes"] + velocity["reflexes"],  # type: ignore[operator]
        "stream_seconds": impedance["seconds"] + velocity["seconds"],  # type: ignore[operator]
        "stop_ms": round(float(np.median(stops)), 1),
        "stop_ms_max": round(max(stops), 1),
        "link_cores": impedance["cores"],
        "realtime_priority": realtime,
    }
    if impedance["rate"] is not None:
        figures["success_rate_mean"] = impedance["rate"]
    n = {
        "tracking_rms_mm": impedance["n"],
        "velocity_tracking_rms_mm": velocity["n"],
        "twin_tracking_rms_mm": twin_samples,
        "stop_ms": len(stops),
    }
    print(f"the arm ended {way * 1e3:.0f} mm from where it began")
    report(figures, n=n, packages=("franky-control", "mujoco", "numpy"), json_to=options.json)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
