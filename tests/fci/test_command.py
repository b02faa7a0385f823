"""`robot-bridge franka`: asks the arm, homes the hand, and refuses in one sentence."""

import numpy as np
import pytest

from robot_bridge.__main__ import main
from robot_bridge.franka.simulated import SimulatedFci


def run(*arguments: str) -> None:
    main(["franka", *arguments])


def test_look_tells_how_the_arm_is_and_moves_nothing(
    fci: SimulatedFci, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fci.state()
    run("look", "--rig", "franka_simulated", "--robot-ip", fci.address)
    told = capsys.readouterr().out
    assert fci.address in told
    assert "state     ready" in told
    assert np.abs(np.array(before.joint_position) - fci.state().joint_position).max() < 1e-4


def test_home_hand(fci: SimulatedFci, capsys: pytest.CaptureFixture[str]) -> None:
    run("home-hand", "--rig", "franka_simulated", "--robot-ip", fci.address)
    assert "opens to 80 mm" in capsys.readouterr().out


def test_another_driver_and_an_address_nobody_wrote_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (("look", "--rig", "mock"), "this command is for franka"),
        (("home-hand", "--rig", "franka"), "write the arm's address"),
    ):
        with pytest.raises(SystemExit):
            run(*arguments)
        assert words in capsys.readouterr().err
