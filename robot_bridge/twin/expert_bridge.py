"""The scripted expert through the real bridge: contract, chunks, schedule, safety filter, modes, on the twin.

The expert stands where a policy server would and looks at the truth instead of the pictures. What it loses
against `expert_trial` is what the bridge costs a perfect policy.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robot_bridge.asking import PolicyStream
from robot_bridge.bridge import Bridge
from robot_bridge.drivers.twin_cell import TwinCell, open_twin
from robot_bridge.loop import Snapshot
from robot_bridge.modes import COOL_DOWN, State
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig import Rig
from robot_bridge.scene.foresight import expert_chunk
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Stage
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import (
    ActionChunk,
    Observation,
    OperatorAction,
    OperatorEvent,
    SceneSetup,
    Timings,
    TrialSetup,
)
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, apply_delta

_TIME_LIMIT = 20.0  # [s] simulated: 120 steps in 15 chunks, and the waits between them
_LONGEST_WAIT = 120.0  # [s] real, for one trial
_STANDING = 0.01  # [rad/s] per joint
_AFTERWARDS = 0.3  # [s] simulated, in which success must last


@dataclass(frozen=True, kw_only=True)
class BridgedTrial:
    split: str  # the sub-split
    seed: int  # within the split that was asked for
    target: str
    receptacle: str
    succeeded: bool
    furthest: Stage
    first_grasped: str | None
    seconds: float  # in RUNNING, simulated
    verdicts: dict[str, int]
    why: str  # what ended it: the mode's own sentence
    collisions: tuple[str, ...]


class ExpertPolicy:
    """Offers what a policy server's client offers, on the stepped clock."""

    def __init__(self, world: TwinWorld, contract: PolicyContract) -> None:
        self._world = world
        self._contract = contract
        self._session = ""
        self._chain: Pose | None = None  # where the last chunk of this session ends

    def get_contract(self, policy: str, *, timeout: float) -> PolicyContract:
        return self._contract

    def predict(self, observation: Observation) -> ActionChunk:
        contract, truth = self._contract, self._world.truth()
        if observation.session != self._session:
            self._session, self._chain = observation.session, None
        chain = truth.commanded_tcp_pose
        if self._chain is not None and self._is_moving():
            chain = self._chain  # the filtered pose is still on its way there
        actions = expert_chunk(
            replace(truth, commanded_tcp_pose=chain), self._world.scene, contract.chunk_length
        )
        for action in actions:
            chain = apply_delta(chain, action[:3], action[3:6], contract.frame)
        self._chain = chain
        return ActionChunk(
            session=observation.session,
            sequence=observation.sequence,
            observed_at=observation.observed_at,
            actions=actions,
            interface_digest=contract.interface_digest,
            policy_digest=contract.policy_digest,
            timings=Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
        )

    def _is_moving(self) -> bool:
        return bool(np.abs(self._world.arm.read().joint_velocity).max() > _STANDING)

    def open_stream(self) -> PolicyStream:
        raise PolicyUnavailable("the expert answers on the stepped clock only, where nothing is streamed")


def run_expert_through_bridge(
    rig: Rig, split: str, episodes: int, *, first_seed: int = 0, chunk_length: int = 8
) -> Iterator[BridgedTrial]:
    """The expert on `episodes` scenes of a split; `rig` is a stepped twin."""
    devices = open_twin(rig)
    cell = devices.world
    assert isinstance(cell, TwinCell)
    contract = replace(
        rehearsal_contract(rig, chunk_length=chunk_length, execute_steps=chunk_length), name="expert"
    )
    bridge = Bridge(rig, devices, ExpertPolicy(cell.world, contract))
    try:
        bridge.start()
        for seed in range(first_seed, first_seed + episodes):
            yield _run_trial(bridge, cell.world, split, seed)
    finally:
        bridge.close()


def _run_trial(bridge: Bridge, world: TwinWorld, split: str, seed: int) -> BridgedTrial:
    scene = draw_scene(split, seed)
    bridge.prepare(
        TrialSetup(
            trial_id=f"expert-{split}-{seed}",
            policy="expert",
            instruction="",
            start_pose="home",
            time_limit=_TIME_LIMIT,
            record=False,
            scene=SceneSetup(split=split, seed=seed),
        )
    )
    _send(bridge, "arm")
    _send(bridge, "start")
    ended = _wait_for_end(bridge, world)
    trial, progress = ended.trial, world.progress
    assert trial is not None
    result = BridgedTrial(
        split=scene.split,
        seed=seed,
        target=scene.target_object,
        receptacle=scene.target_receptacle,
        succeeded=progress.succeeded_at is not None,
        furthest=progress.furthest,
        first_grasped=progress.first_grasped,
        seconds=trial.elapsed,
        verdicts={str(kind): count for kind, count in trial.verdict_counts.items()},
        why=ended.modes.why,
        collisions=tuple(collision.what for collision in world.collisions),
    )
    _go_idle(bridge)
    return result


def _send(bridge: Bridge, action: OperatorAction) -> None:
    bridge.send(OperatorEvent(action=action, operator="expert trial"))


def _wait_for_end(bridge: Bridge, world: TwinWorld) -> Snapshot:
    """Until success has lasted, or the bridge has left RUNNING by itself."""
    give_up_at = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < give_up_at:
        snapshot = bridge.snapshot()
        succeeded_at = world.progress.succeeded_at
        if snapshot.modes.state is not State.RUNNING:
            return snapshot
        if succeeded_at is not None and world.truth().time >= succeeded_at + _AFTERWARDS:
            return snapshot
        time.sleep(0.002)
    raise TimeoutError(f"the trial did not end within {_LONGEST_WAIT:g} s: {bridge.snapshot().modes.why}")


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
