"""The one function that judges every target that may reach an arm: live, twin, tests and replay alike.

Order: finite, age, gross excess; then the target as it is, if speed, acceleration, jerk, walls and joints
allow it; else the nearest thing to it that they allow; else the stop that was judged safe one tick before.
So there is always a safe next tick, whatever comes in and however irregularly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robot_bridge.safety import envelope
from robot_bridge.safety.braking import Stop, phases
from robot_bridge.safety.gate import hold_reason, stop_reason
from robot_bridge.safety.goal import Goal, allowed_goal, goal_velocity
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.look_ahead import Judgement, judge, next_posture
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.motion import motion_at_end
from robot_bridge.safety.pursuit import Course, Step, approach, cruise
from robot_bridge.safety.verdict import Reason, RobotState, Target, Verdict
from robot_contract.pose import Pose, Vector, quaternion_from_rotation_vector, quaternion_multiply

SHORTEST_PERIOD = 1e-3  # [s] sooner than this after the last target, that target is repeated
_SHARE = 0.999  # of the limits, for the stops that every state keeps in hand
_ANGULAR_SHARE = 0.99  # leaves room for what rotation vectors do not add up to within one tick
_SLOWER = 0.3  # of the pace, where the first pursuit is not allowed
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scene:
    """What one tick is judged against."""

    tcp: Pose  # of the last target
    arms: Vector  # (n, 3) tool points, TCP frame
    points: Vector  # (n, 3) tool points at the last target, base frame
    tcp_from_flange: Pose
    dt: float  # [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    step: Step
    flange_pose: Pose
    stop: Stop
    judgement: Judgement


def filter_action(
    state: RobotState,
    proposed: Target | None,
    limits: SafetyLimits,
    memory: Memory,
    *,
    now: float,
    stopping: bool = False,
) -> tuple[Target, Verdict, Memory]:
    """Return the target to send and why it is that one.

    `proposed` is a flange pose in the base frame; None where there is no valid target this tick. `stopping`
    asks for a controlled stop. A STOP is latched in the memory: only a new `Memory.at_rest` ends it.
    """
    dt = now - memory.last_at
    fault = stop_reason(state, proposed, limits, memory, now=now, stopping=stopping)
    if not dt >= SHORTEST_PERIOD:
        soon = Reason(code="tick", sentence=f"{dt * 1e3:.2f} ms after the last target; it is repeated")
        verdict = Verdict(kind="STOP" if fault else "HOLD", reasons=(fault or soon,))
        return memory.sent, verdict, memory.counted(verdict, memory.last_at)
    if not dt <= limits.late_period:
        late = Reason(
            code="late_tick", sentence=f"{dt * 1e3:.0f} ms since the last target: starting from rest"
        )
        verdict = Verdict(kind="STOP" if fault else "HOLD", reasons=(fault or late,))
        return memory.sent, verdict, memory.rested(now).counted(verdict, now)
    scene = _scene(state, limits, memory, dt)
    if fault is not None:
        return _brake(scene, memory, Verdict(kind="STOP", reasons=(fault,)), now)
    wait = hold_reason(state, proposed, limits, now=now)
    if wait is not None or proposed is None:
        return _brake(scene, memory, Verdict(kind="HOLD", reasons=(wait,) if wait else ()), now)
    return _follow(state, proposed.flange_pose, limits, memory, scene, now)


def _scene(state: RobotState, limits: SafetyLimits, memory: Memory, dt: float) -> _Scene:
    tcp = memory.sent.flange_pose @ state.flange_from_tcp
    arms = envelope.point_arms(limits, state.flange_from_tcp)
    return _Scene(
        tcp=tcp,
        arms=arms,
        points=tcp.position + envelope.turned(arms, tcp),
        tcp_from_flange=state.flange_from_tcp.inverse(),
        dt=dt,
    )


def _follow(
    state: RobotState, flange_pose: Pose, limits: SafetyLimits, memory: Memory, scene: _Scene, now: float
) -> tuple[Target, Verdict, Memory]:
    goal = allowed_goal(state, flange_pose, limits, scene.tcp, scene.arms, scene.points)
    if not goal.reasons and memory.is_at_rest() and flange_pose == memory.sent.flange_pose:
        verdict = Verdict(kind="PASS")
        return memory.sent, verdict, memory.stood(now, proposed=flange_pose).counted(verdict, now)
    unchanged, why = _unchanged(goal, flange_pose, limits, memory, scene, now)
    if unchanged is not None:
        return _send(unchanged, Verdict(kind="PASS"), limits, memory, scene, now, flange_pose)
    reasons = [*goal.reasons, *why]
    velocity = goal_velocity(goal, state, limits, memory.proposed, dt=scene.dt)
    for step in _pursuits(goal.gap, velocity, limits, memory, scene):
        exact = flange_pose if step.left == 0.0 and not goal.reasons else None
        judged, against = _judged(step, exact, limits, memory, scene)
        if judged is not None:
            reasons.extend(judged.judgement.slower)
            kind = "PASS" if exact is not None else "CLAMP"
            verdict = Verdict(kind=kind, reasons=_distinct(reasons) if kind == "CLAMP" else ())
            return _send(judged, verdict, limits, memory, scene, now, flange_pose)
        reasons.extend(against)
    verdict = Verdict(kind="CLAMP", reasons=_distinct(reasons))
    target, verdict, after = _brake(scene, memory, verdict, now)
    return target, verdict, replace(after, proposed=flange_pose)


def _distinct(reasons: list[Reason]) -> tuple[Reason, ...]:
    """The first reason of each code."""
    return tuple({reason.code: reason for reason in reversed(reasons)}.values())[::-1]


def _unchanged(
    goal: Goal, flange_pose: Pose, limits: SafetyLimits, memory: Memory, scene: _Scene, now: float
) -> tuple[_Judged | None, list[Reason]]:
    """The target as it is, if every limit allows it; else why not."""
    if goal.reasons:
        return None, []
    times, offsets = memory.history(scene.dt)
    motion = motion_at_end((*times, now), (*offsets, goal.gap))
    profile, reasons = limits.profile, list[Reason]()
    before = motion.end_acceleration - motion.jerk * scene.dt
    accelerations = np.array([motion.acceleration, motion.end_acceleration, before])
    speed, turning = _lengths(motion.velocity).tolist()
    acceleration, angular_acceleration = _lengths(accelerations).max(axis=0).tolist()
    jerk, angular_jerk = _lengths(motion.jerk).tolist()
    for code, unit, size, limit in (
        ("speed", "m/s", speed, profile.speed),
        ("acceleration", "m/s^2", acceleration, profile.acceleration),
        ("jerk", "m/s^3", jerk, profile.jerk),
        ("angular_speed", "rad/s", turning, profile.angular_speed),
        ("angular_acceleration", "rad/s^2", angular_acceleration, profile.angular_acceleration),
        ("angular_jerk", "rad/s^3", angular_jerk, profile.angular_jerk),
    ):
        if not size <= limit * _ROUNDING:
            reasons.append(Reason(code=code, sentence=f"asked for {size:.3g} {unit}, limit {limit:g} {unit}"))
    if not memory.is_on_target() and not reasons:
        reasons.append(Reason(code="behind", sentence="catching up with the target"))
    if reasons:
        return None, reasons
    step = Step(way=goal.gap, velocity=motion.end_velocity, acceleration=motion.end_acceleration)
    judged, against = _judged(step, flange_pose, limits, memory, scene)
    if judged is not None and judged.judgement.slower:
        return None, list(judged.judgement.slower)
    return judged, against


def _lengths(vectors: Vector) -> Vector:
    """Of the last axis; a NaN stays one."""
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=-1)))


def _pursuits(
    gap: Vector, velocity: Vector, limits: SafetyLimits, memory: Memory, scene: _Scene
) -> Iterator[Step]:
    """What to try, best first; the last resort is the stop in hand."""
    course = Course(
        gap=gap,
        goal_velocity=velocity,
        velocity=memory.velocity,
        acceleration=memory.acceleration,
        reach=float(_lengths(scene.arms).max()),
        dt=scene.dt,
    )
    met = approach(course, limits.profile, pace=memory.pace, left=memory.arrival)
    yield met if met is not None else cruise(course, limits.profile, pace=memory.pace)
    yield cruise(course, limits.profile, pace=_SLOWER * memory.pace)


def _judged(
    step: Step, exact: Pose | None, limits: SafetyLimits, memory: Memory, scene: _Scene
) -> tuple[_Judged | None, list[Reason]]:
    """The step with the stop that it leaves in hand, or what speaks against it."""
    profile = limits.profile
    stop = Stop(
        linear=phases(step.velocity[0], step.acceleration[0], profile.acceleration, _SHARE * profile.jerk),
        angular=phases(
            step.velocity[1],
            step.acceleration[1],
            _ANGULAR_SHARE * profile.angular_acceleration,
            _ANGULAR_SHARE * profile.angular_jerk,
        ),
    )
    tcp = _moved(scene.tcp, step.way)
    arms = envelope.turned(scene.arms, tcp)
    reasons = envelope.too_fast(stop, arms, limits)
    reasons += envelope.crossed_walls(tcp.position, arms, scene.points, stop, limits)
    if reasons:
        return None, reasons
    flange = exact if exact is not None else tcp @ scene.tcp_from_flange
    linear, angular = _lengths(step.velocity).tolist()
    judgement = judge(
        flange,
        tcp,
        memory.posture,
        stop,
        limits,
        effort=max(linear / profile.speed, angular / profile.angular_speed),
        dt=scene.dt,
    )
    if judgement.reasons:
        return None, list(judgement.reasons)
    return _Judged(step=step, flange_pose=flange, stop=stop, judgement=judgement), []


def _moved(tcp: Pose, way: Vector) -> Pose:
    if not way.any():
        return tcp
    quaternion = quaternion_multiply(quaternion_from_rotation_vector(way[1]), tcp.quaternion)
    return Pose(position=tcp.position + way[0], quaternion=quaternion / np.sqrt(quaternion @ quaternion))


def _send(
    judged: _Judged,
    verdict: Verdict,
    limits: SafetyLimits,
    memory: Memory,
    scene: _Scene,
    now: float,
    proposed: Pose,
) -> tuple[Target, Verdict, Memory]:
    step, posture = judged.step, judged.judgement.posture
    target = Target(flange_pose=judged.flange_pose, joint_posture=posture.joint_position)
    after = memory.moved(
        target,
        step.way,
        now,
        velocity=step.velocity,
        acceleration=step.acceleration,
        stop=judged.stop,
        stop_elapsed=0.0,
        arrival=step.left,
        pace=judged.judgement.pace,
        posture=posture,
        proposed=proposed,
        **memory.counts(verdict, now),
    )
    return target, verdict, after


def _brake(scene: _Scene, memory: Memory, verdict: Verdict, now: float) -> tuple[Target, Verdict, Memory]:
    """One tick of the stop that was judged safe."""
    elapsed = memory.stop_elapsed + scene.dt
    if memory.is_at_rest():
        return memory.sent, verdict, memory.stood(now).counted(verdict, now)
    way, velocity, acceleration = memory.stop.after(elapsed)
    way = way - memory.stop.after(memory.stop_elapsed)[0]
    flange = _moved(scene.tcp, way) @ scene.tcp_from_flange
    posture = next_posture(flange, memory.posture)
    target = Target(flange_pose=flange, joint_posture=posture.joint_position)
    after = memory.moved(
        target,
        way,
        now,
        velocity=velocity,
        acceleration=acceleration,
        stop_elapsed=elapsed,
        arrival=None,
        posture=posture,
        proposed=None,
        **memory.counts(verdict, now),
    )
    return target, verdict, after
