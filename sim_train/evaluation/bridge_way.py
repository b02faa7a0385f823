"""The same episodes through the real control loop: bridge, schedule, safety filter and modes, on the twin.

The policy stands where a server would. The clock is stepped: however long an answer really takes, the arm
gets it `latency` of simulated time after the question. Other physics and another renderer than ManiSkill's.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import simplejpeg

from robot_bridge.asking import PolicyConnection, PolicyStream
from robot_bridge.bridge import Bridge, Refused
from robot_bridge.drivers.twin_cell import TwinCell, open_twin
from robot_bridge.modes import State
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Stage
from robot_bridge.scene.wording import SEEN_TEMPLATES, instruction
from robot_bridge.twin.bridged_trial import BridgedTrial, run_trial
from robot_bridge.twin.expert_bridge import ExpertPolicy
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import PolicyUnavailable, StudyError
from robot_contract.messages import ActionChunk, Observation, Timings
from robot_contract.policy_contract import PolicyContract
from sim_train.evaluation.deciders import Answering
from sim_train.evaluation.films import side_by_side, write_film
from sim_train.evaluation.outcome import FirstGrasp, Outcome, Played, file_name
from sim_train.evaluation.plan import Planned
from sim_train.evaluation.rounds import MOST_VOIDS, Voided, another
from sim_train.evaluation.settings import Instruct
from sim_train.simulation import Picture

RIG = "twin_stepped"
_SLACK = 0.1  # [s] per chunk: the next pictures, their latency, a tick
_FILM_RATE_HZ = 3.0  # pictures, of which there is one per question
_LONGEST_WAIT = 1200.0  # [s] real, for one trial

Connect = Callable[[TwinWorld, Rig], PolicyConnection]


class PolicyInProcess:
    """Offers what a policy server's client offers, on the stepped clock."""

    def __init__(self, policy: Answering, contract: PolicyContract) -> None:
        self._policy = policy
        self._contract = contract  # the policy's own, but for `execute_steps`
        self.shown: list[Picture] = []  # what it was asked with, for films

    def get_contract(self, policy: str, *, timeout: float) -> PolicyContract:
        return self._contract

    def predict(self, observation: Observation) -> ActionChunk:
        jpegs = {name: image.jpeg for name, image in observation.images.items()}
        self.shown.append(
            side_by_side({name: simplejpeg.decode_jpeg(jpeg, "RGB") for name, jpeg in jpegs.items()})
        )
        (actions,) = self._policy.answer([observation])
        return ActionChunk(
            session=observation.session,
            sequence=observation.sequence,
            observed_at=observation.observed_at,
            actions=actions,
            interface_digest=self._contract.interface_digest,
            policy_digest=self._contract.policy_digest,
            timings=Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
        )

    def open_stream(self) -> PolicyStream:
        raise PolicyUnavailable("on the stepped clock nothing is streamed")


def expert_connection(world: TwinWorld, rig: Rig) -> PolicyConnection:
    return ExpertPolicy(world, replace(rehearsal_contract(rig), name="expert"))


def stepped_rig(latency: float) -> Rig:
    rig = load_rig(find_rig(RIG))
    if not 0.0 <= latency < rig.policy_server.deadline:
        raise StudyError(
            f"latency is {latency} s, expected 0 or more and under the {rig.policy_server.deadline:g} s that"
            f" rig {RIG} waits"
        )
    assert rig.simulation is not None
    return replace(rig, simulation=replace(rig.simulation, policy_latency=latency))


class BridgedCell:
    """One twin with a bridge; one trial after the other."""

    def __init__(
        self, connect: Connect, *, latency: float, execute_steps: int, instruct: Instruct, films: Path
    ) -> None:
        rig = stepped_rig(latency)
        devices = open_twin(rig)
        cell = devices.world
        assert isinstance(cell, TwinCell)
        self._world = cell.world
        self._execute_steps = execute_steps
        self._instruct: Instruct = instruct
        self._films = films
        self._time_limit = time_limit(execute_steps, latency)
        self._connection = connect(cell.world, rig)
        self._policy = self._connection.get_contract("", timeout=1.0).name
        self._bridge = Bridge(rig, devices, self._connection)
        self._bridge.start()

    def run(self, planned: Planned) -> Played:
        episode = planned.episode
        if isinstance(self._connection, PolicyInProcess):
            self._connection.shown.clear()
        try:
            trial = run_trial(
                self._bridge,
                self._world,
                policy=self._policy,
                split=episode.task,
                seed=episode.seed,
                time_limit=self._time_limit,
                instruction="" if self._instruct == "named" else another(other_wordings(planned), planned),
                longest_wait=_LONGEST_WAIT,
            )
        except Refused as error:
            raise StudyError(f"the bridge refuses policy {self._policy!r}: {error}") from None
        outcome = outcome_of(trial, planned)
        if not outcome.succeeded and isinstance(self._connection, PolicyInProcess):
            self._films.mkdir(parents=True, exist_ok=True)
            write_film(self._connection.shown, self._films / file_name(outcome, "mp4"), rate_hz=_FILM_RATE_HZ)
        return Played(outcome=outcome)

    def close(self) -> None:
        self._bridge.close()


def time_limit(execute_steps: int, latency: float) -> float:
    """[s] simulated: as many steps as an episode has, and the waits for the chunks between them."""
    return EPISODE_STEPS / CONTROL_RATE_HZ + math.ceil(EPISODE_STEPS / execute_steps) * (latency + _SLACK)


def other_wordings(planned: Planned) -> tuple[str, ...]:
    scene = draw_scene(planned.episode.task, planned.episode.seed)
    return tuple(
        instruction(SEEN_TEMPLATES[0], catalogue().object(name), scene.receptacle)
        for name in scene.distractors
    )


def outcome_of(trial: BridgedTrial, planned: Planned) -> Outcome:
    seconds = trial.succeeded_after if trial.succeeded_after is not None else trial.seconds
    grasp: FirstGrasp = "none"
    if trial.first_grasped is not None:
        grasp = "named" if trial.first_grasped == trial.target else "other"
    is_over = trial.succeeded or trial.state is State.ARMED  # by its time; all else is the bridge's doing
    return Outcome(
        split=planned.split,
        task=planned.episode.task,
        seed=planned.episode.seed,
        instruction=trial.instruction,
        succeeded=trial.succeeded,
        steps=round(seconds * CONTROL_RATE_HZ),
        reward=float(trial.furthest) / Stage.PLACE,
        stage=trial.furthest.name.lower(),
        first_grasp=grasp,
        ended="" if is_over else trial.why,
        notes={f"ticks_{kind}": float(count) for kind, count in trial.verdicts.items()},
    )


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """All that a worker process needs to open its cell."""

    open_policy: Callable[[], Connect]  # a module's function or a partial of one
    latency: float  # [s]
    execute_steps: int
    instruct: Instruct
    films: Path  # folder for those of failures, a picture for each question

    def open(self) -> BridgedCell:
        return BridgedCell(
            self.open_policy(),
            latency=self.latency,
            execute_steps=self.execute_steps,
            instruct=self.instruct,
            films=self.films,
        )


def run_bridged(cell_plan: CellPlan, plan: Sequence[Planned], *, workers: int) -> Iterator[Played | Voided]:
    """What came of every episode, as they end; with several workers each has a twin and a policy."""
    if workers > 1 and len(plan) > 1:
        yield from _run_in_processes(cell_plan, plan, workers)
        return
    cell = cell_plan.open()
    try:
        for planned in plan:
            yield cell.run(planned)
    finally:
        cell.close()


_cell: BridgedCell | None = None  # of this worker process


def _open_cell(cell_plan: CellPlan) -> None:
    global _cell
    _cell = cell_plan.open()


def _run_here(planned: Planned) -> Played:
    assert _cell is not None
    return _cell.run(planned)


def _run_in_processes(
    cell_plan: CellPlan, plan: Sequence[Planned], workers: int
) -> Iterator[Played | Voided]:
    waiting = deque(plan)
    voids: Counter[Planned] = Counter()
    while waiting:
        pool = ProcessPoolExecutor(
            max_workers=min(workers, len(waiting)),
            mp_context=get_context("spawn"),
            initializer=_open_cell,
            initargs=(cell_plan,),
        )
        under_way: dict[Future[Played], Planned] = {}
        try:
            while waiting or under_way:
                while waiting and len(under_way) < workers:
                    future = pool.submit(_run_here, waiting[0])
                    under_way[future] = waiting.popleft()
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    del under_way[future]
                    yield outcome
        except BrokenProcessPool as error:  # whose process it was is not told: all under way begin again
            for planned in under_way.values():
                voids[planned] += 1
                if voids[planned] >= MOST_VOIDS:
                    raise StudyError(f"{planned.episode}: its process died {MOST_VOIDS} times") from error
                yield Voided(planned=planned, why=str(error))
            waiting.extendleft(under_way.values())
        finally:
            pool.shutdown(cancel_futures=True)
