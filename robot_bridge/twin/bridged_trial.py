"""One trial on the twin through the real bridge, from preparing the scene to the arm at rest again.

Whoever answers the bridge's questions is judged here: the scripted expert, or a trained policy.
"""

import time
from dataclasses import dataclass

from robot_bridge.bridge import Bridge
from robot_bridge.loop import Snapshot
from robot_bridge.modes import COOL_DOWN, State
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Stage
from robot_bridge.twin.world import TwinWorld
from robot_contract.messages import OperatorAction, OperatorEvent, SceneSetup, TrialSetup

_LONGEST_WAIT = 120.0  # [s] real, for one trial without a large model
_AFTERWARDS = 0.3  # [s] simulated, in which success must last


@dataclass(frozen=True, kw_only=True)
class BridgedTrial:
    split: str  # the sub-split
    seed: int  # within the split that was asked for
    target: str
    receptacle: str
    instruction: str  # what the policy was told
    succeeded: bool
    succeeded_after: float | None  # [s] simulated, since the start
    furthest: Stage
    first_grasped: str | None
    seconds: float  # in RUNNING, simulated
    verdicts: dict[str, int]
    state: State  # in which it ended: RUNNING after a success
    why: str  # what ended it: the mode's own sentence
    collisions: tuple[str, ...]


def run_trial(
    bridge: Bridge,
    world: TwinWorld,
    *,
    policy: str,
    split: str,
    seed: int,
    time_limit: float,
    instruction: str = "",
    longest_wait: float = _LONGEST_WAIT,
) -> BridgedTrial:
    """`instruction` is the scene's own when empty; `time_limit` [s] is simulated, `longest_wait` [s] real."""
    scene = draw_scene(split, seed)
    bridge.prepare(
        TrialSetup(
            trial_id=f"{policy}-{split}-{seed}",
            policy=policy,
            instruction=instruction,
            start_pose="home",
            time_limit=time_limit,
            record=False,
            scene=SceneSetup(split=split, seed=seed),
        )
    )
    _send(bridge, "arm")
    _send(bridge, "start")
    ended = _wait_for_end(bridge, world, longest_wait)
    trial, progress = ended.trial, world.progress
    assert trial is not None
    result = BridgedTrial(
        split=scene.split,
        seed=seed,
        target=scene.target_object,
        receptacle=scene.target_receptacle,
        instruction=instruction or scene.instruction,
        succeeded=progress.succeeded_at is not None,
        succeeded_after=progress.succeeded_at,
        furthest=progress.furthest,
        first_grasped=progress.first_grasped,
        seconds=trial.elapsed,
        verdicts={str(kind): count for kind, count in trial.verdict_counts.items()},
        state=ended.modes.state,
        why=ended.modes.why,
        collisions=tuple(collision.what for collision in world.collisions),
    )
    _go_idle(bridge)
    return result


def _send(bridge: Bridge, action: OperatorAction) -> None:
    bridge.send(OperatorEvent(action=action, operator="trial on the twin"))


def _wait_for_end(bridge: Bridge, world: TwinWorld, longest_wait: float) -> Snapshot:
    """Until success has lasted, or the bridge has left RUNNING by itself."""
    give_up_at = time.monotonic() + longest_wait
    while time.monotonic() < give_up_at:
        snapshot = bridge.snapshot()
        succeeded_at = world.progress.succeeded_at
        if snapshot.modes.state is not State.RUNNING:
            return snapshot
        if succeeded_at is not None and world.truth().time >= succeeded_at + _AFTERWARDS:
            return snapshot
        time.sleep(0.002)
    raise TimeoutError(f"the trial did not end within {longest_wait:g} s: {bridge.snapshot().modes.why}")


def _go_idle(bridge: Bridge) -> None:
    """Back to IDLE with the arm at rest, whatever the trial ended in."""
    while not (bridge.snapshot().modes.state is State.IDLE and bridge.loop.is_at_rest):
        state = bridge.snapshot().modes.state
        now = bridge.devices.clock.now()
        if state is not State.FAULT and state is not State.IDLE:
            _send(bridge, "disarm")
        elif state is State.FAULT and now - bridge.snapshot().modes.faulted_at > 2 * COOL_DOWN:
            _send(bridge, "clear")
        time.sleep(0.01)
