"""Unattended trials against a rehearsal bridge: every ending is called what it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from operator_console.demo_study import DemoPlan, run_demo_study, setups, study_document, summary
from operator_console.rehearsal import RehearsalBridge
from operator_console.trial_run import TrialOutcome
from robot_contract.client import OperatorClient
from robot_contract.errors import StudyError

PLAN = DemoPlan(trials=2, splits=("train", "vision"), time_limit=0.5, policy="tiny", name="t", seed=7)

LONGER = DemoPlan(trials=1, time_limit=1.5, policy="tiny", name="t")


def study(
    arrange: Callable[[RehearsalBridge], None],
    *,
    plan: DemoPlan = PLAN,
    meanwhile: Callable[[RehearsalBridge], Awaitable[None]] | None = None,
    hold_required: bool = False,
) -> tuple[list[TrialOutcome], RehearsalBridge]:
    async def run() -> tuple[list[TrialOutcome], RehearsalBridge]:
        bridge = RehearsalBridge({}, hold_required=hold_required)
        arrange(bridge)
        port = await bridge.start()
        disturbing = asyncio.create_task(meanwhile(bridge)) if meanwhile else None
        try:
            async with OperatorClient(f"127.0.0.1:{port}") as client:
                return await run_demo_study(client, plan, say=lambda line: None), bridge
        finally:
            if disturbing is not None:
                await asyncio.wait([disturbing], timeout=1.0)  # it may be closing the bridge itself
                disturbing.cancel()
            await bridge.close()

    return asyncio.run(run())


def test_a_success_is_a_success_and_the_arm_is_disarmed_after_every_trial() -> None:
    outcomes, bridge = study(lambda bridge: setattr(bridge, "succeeds_after", 0.1))
    assert [outcome.result for outcome in outcomes] == ["success", "success"]
    assert [event.action for event in bridge.events] == ["arm", "start", "disarm"] * 2
    assert [setup.scene.split for setup in bridge.setups if setup.scene] == ["train", "vision"]
    assert bridge.status.mode == "IDLE"


def test_running_out_of_time_is_a_failure() -> None:
    outcomes, _ = study(lambda bridge: None)
    assert [outcome.result for outcome in outcomes] == ["failure", "failure"]
    assert "0.5 s" in outcomes[0].sentence


async def running(bridge: RehearsalBridge) -> None:
    while bridge.status.mode != "RUNNING":
        await asyncio.sleep(0.01)


async def fail_running(bridge: RehearsalBridge, why: str) -> None:
    await running(bridge)
    bridge.say(mode="FAULT", why=why)


def test_a_fault_is_the_systems_and_is_never_cleared() -> None:
    outcomes, bridge = study(
        lambda bridge: None, meanwhile=lambda bridge: fail_running(bridge, "joint 3 is over its limit")
    )
    assert [outcome.result for outcome in outcomes] == ["system_fault", "system_fault"]
    assert "joint 3" in outcomes[0].sentence
    assert "FAULT" in outcomes[1].sentence
    assert "clear" not in [event.action for event in bridge.events]


def test_a_reflex_of_the_simulated_arm_is_a_failure_and_the_study_goes_on() -> None:
    outcomes, bridge = study(
        lambda bridge: None, meanwhile=lambda bridge: fail_running(bridge, "the arm reports cartesian_reflex")
    )
    assert [outcome.result for outcome in outcomes] == ["failure", "failure"]
    assert "cartesian_reflex" in outcomes[0].sentence
    assert "0.5 s" in outcomes[1].sentence
    assert [event.action for event in bridge.events].count("clear") == 1


def test_a_reflex_of_a_robot_is_cleared_by_a_person_alone() -> None:
    def reflex(bridge: RehearsalBridge) -> None:
        bridge.say(mode="FAULT", why="the arm reports cartesian_reflex")

    with pytest.raises(StudyError, match="nobody is there to hold the key"):
        study(reflex, hold_required=True)


async def hold_still(bridge: RehearsalBridge, times: int) -> None:
    for _ in range(times):
        await running(bridge)
        await asyncio.sleep(0.2)
        bridge.say(mode="HOLDING", why="the policy server does not answer")


def test_a_trial_goes_on_after_a_watchdog_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_console.trial_run.RESUME_PERIOD", 0.1)
    outcomes, bridge = study(lambda bridge: None, plan=LONGER, meanwhile=lambda bridge: hold_still(bridge, 2))
    assert [(outcome.result, outcome.interruptions) for outcome in outcomes] == [("failure", 2)]
    assert [event.action for event in bridge.events[:5]] == ["arm", "start", "start", "start", "disarm"]


def test_an_arm_that_holds_still_for_long_is_a_system_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_console.trial_run.HOLDING_PATIENCE", 0.2)
    outcomes, _ = study(lambda bridge: None, meanwhile=lambda bridge: hold_still(bridge, 1))
    assert outcomes[0].result == "system_fault"
    assert "policy server" in outcomes[0].sentence


def test_an_arm_that_holds_still_often_is_a_system_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_console.trial_run.RESUME_PERIOD", 0.0)
    monkeypatch.setattr("operator_console.trial_run.MOST_INTERRUPTIONS", 1)
    outcomes, _ = study(lambda bridge: None, plan=LONGER, meanwhile=lambda bridge: hold_still(bridge, 2))
    assert (outcomes[0].result, outcomes[0].interruptions) == ("system_fault", 2)


def test_a_bridge_that_dies_is_a_system_fault() -> None:
    async def die(bridge: RehearsalBridge) -> None:
        while bridge.status.mode != "RUNNING":
            await asyncio.sleep(0.01)
        await bridge.close()

    outcomes, _ = study(lambda bridge: None, meanwhile=die)
    assert [outcome.result for outcome in outcomes] == ["system_fault", "system_fault"]
    assert "UNAVAILABLE" in outcomes[1].sentence


def test_a_robot_with_hold_to_run_is_refused_before_it_is_armed() -> None:
    with pytest.raises(StudyError, match="nobody is there to hold the key"):
        study(lambda bridge: None, hold_required=True)


def test_a_robot_that_does_not_know_the_truth_is_refused() -> None:
    with pytest.raises(StudyError, match="needs a person who scores"):
        study(lambda bridge: bridge.say(truth=None))


def test_what_stands_against_arming_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_console.trial_run.READY_PATIENCE", 0.2)
    outcomes, bridge = study(lambda bridge: bridge.say(problems=("camera front is missing",)))
    assert outcomes[0].result == "system_fault"
    assert "camera front is missing" in outcomes[0].sentence
    assert [event.action for event in bridge.events if event.action != "disarm"] == []


def test_a_start_that_is_refused_for_a_moment_is_tried_again() -> None:
    async def let_it_start(bridge: RehearsalBridge) -> None:
        while bridge.status.mode != "ARMED":
            await asyncio.sleep(0.001)
        bridge.refuse_start = "camera front: its picture is old"
        await asyncio.sleep(0.3)
        bridge.refuse_start = ""

    def arrange(bridge: RehearsalBridge) -> None:
        bridge.refuse_start = "camera front: its picture is old"

    outcomes, _ = study(arrange, meanwhile=let_it_start)
    assert outcomes[0].result == "failure"


def test_the_policy_comes_from_the_bridge_or_the_plan_or_is_asked_for() -> None:
    with pytest.raises(StudyError, match="--policy"):
        study(lambda bridge: None, plan=DemoPlan(time_limit=0.5))
    outcomes, _ = study(lambda bridge: bridge.say(policy="put-on"), plan=DemoPlan(time_limit=0.5, trials=1))
    assert outcomes[0].setup.policy == "put-on"


def outcome(index: int, result: Any) -> TrialOutcome:
    setup = setups(DemoPlan(trials=9), policy="tiny", name="demo", can_record=True)[index]
    return TrialOutcome(
        setup=setup,
        instruction="put it there",
        result=result,
        seconds=1.0,
        interruptions=0,
        sentence="why",
        verdict_counts={},
    )


def test_system_faults_are_counted_both_ways() -> None:
    outcomes = [outcome(0, "success"), outcome(1, "failure"), outcome(2, "system_fault")]
    document = study_document(outcomes)
    assert (document["all"]["k"], document["all"]["n"]) == (1, 2)
    assert document["all_with_system_faults_as_failures"]["n"] == 3
    assert document["splits"]["execution"] == {"k": 0, "n": 0, "low": 0.0, "high": 1.0}
    text = summary(outcomes)
    assert "1/2" in text
    assert "1/3" in text
    assert "demo-003: why" in text


@pytest.mark.parametrize(
    ("wish", "can_record", "records"),
    [("possible", True, True), ("possible", False, False), ("yes", False, True), ("no", True, False)],
)
def test_trials_are_recorded_as_wished(wish: Any, can_record: bool, records: bool) -> None:
    made = setups(DemoPlan(record=wish), policy="tiny", name="t", can_record=can_record)
    assert [setup.record for setup in made] == [records] * 3


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(StudyError, match="at least one"):
        DemoPlan(trials=0)
