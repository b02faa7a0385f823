"""What the arming check says of latency is about this policy and this server, as they answer now."""

from robot_bridge.bridge import Bridge
from robot_bridge.drivers.mock_cell import mock_cell
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.messages import TrialSetup

RIG = load_rig(find_rig("mock"))
TRIES = 20  # a busy machine is slow now and then; each attempt measures anew
SETUP = TrialSetup(
    trial_id="t",
    policy="rehearsal",
    instruction="draw a circle",
    start_pose="home",
    time_limit=6.0,
    record=False,
)


def latency_problems(bridge: Bridge) -> list[str]:
    bridge.prepare(SETUP)
    return [problem for problem in bridge.problems() if problem.startswith("latency")]


def test_a_server_that_was_slow_once_is_measured_anew() -> None:
    contract = rehearsal_contract(RIG, execution="overlapped", execute_steps=4, trained_delay_steps=2)
    policy = RehearsalPolicy(contract, small_circle(contract))
    bridge = Bridge(RIG, mock_cell(RIG).devices(), policy)
    bridge.start()
    try:
        policy.seconds = 0.6
        assert latency_problems(bridge)
        policy.seconds = 0.0
        for _ in range(TRIES):
            if not latency_problems(bridge):
                break
        else:
            raise AssertionError(bridge.problems())
        assert len(bridge._answers.ages) <= 8
    finally:
        bridge.close()
