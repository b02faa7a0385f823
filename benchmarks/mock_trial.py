"""A trial of the whole bridge on the mock rig, in process, with a policy and a key that somebody holds."""

import tempfile
import time
from pathlib import Path

import numpy as np

from robot_bridge.bridge import Bridge, Refused
from robot_bridge.drivers.mock_cell import MockCell, mock_cell
from robot_bridge.records import NoRecorder, Record, TickRecord
from robot_bridge.rehearsal import RehearsalPolicy, Script, rehearsal_contract
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.messages import Heartbeat, Observation, OperatorEvent, TrialSetup
from robot_contract.pose import Vector

STEP = 0.1  # [s]
FULL_SPEED = 0.0179  # [m] a step


class Tape(NoRecorder):
    def __init__(self) -> None:
        self.ticks: list[TickRecord] = []

    def write(self, record: Record) -> None:
        if isinstance(record, TickRecord):
            self.ticks.append(record)


class Trial:
    """A running trial on the mock rig, with a key that somebody holds."""

    def __init__(self, rig: Rig, execution: str = "overlapped") -> None:
        shape = {"execute_steps": 8, "chunk_length": 16, "trained_delay_steps": 6}
        contract = rehearsal_contract(rig, execution=execution, **shape)  # type: ignore[arg-type]
        self.policy = RehearsalPolicy(contract, to_and_fro(contract.chunk_length))
        self.policy.seconds = 0.03
        self.cell: MockCell = mock_cell(rig)
        self.tape = Tape()
        self.bridge = Bridge(rig, self.cell.devices(), self.policy, recorder=self.tape)
        self.hold = self.bridge.loop.conduct.hold_to_run
        self.bridge.start()
        self.seconds: list[float] = []

    def start(self, seconds: float) -> None:
        setup = TrialSetup(
            trial_id="benchmark",
            policy="rehearsal",
            instruction="move to and fro",
            start_pose="home",
            time_limit=1e6,
            record=False,
        )
        self.bridge.prepare(setup)
        self.beat(0.1)
        for action in ("arm", "start"):
            self.bridge.send(OperatorEvent(action=action, operator="benchmark"))  # type: ignore[arg-type]
            self.beat(0.05)
        self.beat(seconds)
        if self.bridge.status().mode != "RUNNING":
            raise RuntimeError(f"the trial does not run: {self.bridge.status().why}")

    def beat(self, seconds: float) -> None:
        """Hold the key for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            now = self.cell.clock.now()
            self.hold.beat(Heartbeat(nonce=self.hold.issue(now).nonce, press=1, held=True), now)
            time.sleep(0.02)

    def release(self) -> None:
        self.hold.beat(Heartbeat(nonce=0, press=1, held=False), self.cell.clock.now())

    def onset(self, since: float, *, beating: bool) -> TickRecord:
        """The first tick after an instant in which the arm was told to decelerate for a fault."""
        until = time.monotonic() + 6.0
        while time.monotonic() < until:
            if beating:
                self.beat(0.02)
            else:
                time.sleep(0.02)
            for record in self.tape.ticks:
                if record.at >= since and (
                    record.verdict.kind in ("HOLD", "STOP") or record.mode != "RUNNING"
                ):
                    return record
        raise RuntimeError("nothing happened within 6 s of the fault")

    def last_valid_target(self, before: TickRecord) -> float:
        """When the last target that the arm had before this tick was due."""
        known = [r for r in self.tape.ticks if r.at < before.at and np.isfinite(r.chunk_age)]
        return known[-1].at - known[-1].chunk_age

    def close(self) -> None:
        self.bridge.close()


def to_and_fro(length: int) -> Script:
    """Sideways at full speed, smoothly back after a second; chunks that overlap agree."""

    def actions(observation: Observation) -> Vector:
        instants = observation.observed_at + np.arange(length) * STEP
        found = np.zeros((length, 7))
        found[:, 1] = FULL_SPEED * np.clip(1.5 * np.sin(2 * np.pi * instants / 3.0), -1.0, 1.0)
        found[:, 6] = 1.0
        return found

    return actions


def started(rig: Rig, seconds: float, attempts: int = 5) -> Trial:
    """A trial that runs; a busy machine may need more than one attempt."""
    for _ in range(attempts):
        trial = Trial(rig)
        try:
            trial.start(seconds)
            return trial
        except (Refused, RuntimeError) as error:
            print(f"once more: {error}")
            trial.close()
    raise RuntimeError(f"no trial ran in {attempts} attempts; this machine is too busy")


def rig_with_key() -> Rig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mock_with_key.yaml"
        path.write_text(find_rig("mock").read_text().replace("hold_to_run: false", "hold_to_run: true"))
        return load_rig(path)
