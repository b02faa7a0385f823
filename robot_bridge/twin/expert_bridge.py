"""The scripted expert through the real bridge: contract, chunks, schedule, safety filter, modes, on the twin.

The expert stands where a policy server would and looks at the truth instead of the pictures. What it loses
against `expert_trial` is what the bridge costs a perfect policy.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robot_bridge.asking import PolicyStream
from robot_bridge.bridge import Bridge
from robot_bridge.drivers.twin_cell import TwinCell, open_twin
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig import Rig
from robot_bridge.scene.foresight import expert_chunk
from robot_bridge.twin.bridged_trial import BridgedTrial, run_trial
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, Observation, Timings
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, apply_delta

_TIME_LIMIT = 20.0  # [s] simulated: 120 steps in 15 chunks, and the waits between them
_STANDING = 0.01  # [rad/s] per joint


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
            yield run_trial(
                bridge, cell.world, policy="expert", split=split, seed=seed, time_limit=_TIME_LIMIT
            )
    finally:
        bridge.close()
