"""Desk is asked for no more than the rig says, and politely."""

from pathlib import Path

import pytest

franky = pytest.importorskip("franky", reason="the extra `franka` is not installed")

from robot_bridge.franka.desk import make_ready, open_desk  # noqa: E402 - needs franky
from robot_bridge.franka.settings import DeskSettings  # noqa: E402
from robot_contract.errors import DeviceFault, RigError  # noqa: E402


class ObligingDesk:
    def __init__(self, *, locked: bool = True, execution: bool = True) -> None:
        self.brake_state = franky.BrakeState.LOCKED if locked else franky.BrakeState.UNLOCKED
        mode = franky.OperatingMode
        self.operating_mode = mode.EXECUTION if execution else mode.PROGRAMMING
        self.asked: list[str] = []

    def take_control(self, wait_timeout: float = 30.0, force: bool = False) -> None:
        assert not force, "whoever has control is asked"
        self.asked.append("control")

    def unlock_brakes(self) -> None:
        self.asked.append("brakes")

    def enable_fci(self) -> None:
        self.asked.append("fci")


def settings(*, brakes: bool, fci: bool, password: Path = Path("password")) -> DeskSettings:
    return DeskSettings(user="ann", password_file=password, unlock_brakes=brakes, activate_fci=fci)


def test_it_is_asked_for_what_the_rig_says_and_no_more() -> None:
    desk = ObligingDesk()
    make_ready(desk, settings(brakes=True, fci=True))
    assert desk.asked == ["control", "brakes", "fci"]
    desk = ObligingDesk()
    make_ready(desk, settings(brakes=False, fci=True))
    assert desk.asked == ["control", "fci"]
    desk = ObligingDesk(locked=False)
    make_ready(desk, settings(brakes=True, fci=False))
    assert desk.asked == ["control"], "open brakes are left alone"


def test_nothing_is_touched_outside_of_execution() -> None:
    desk = ObligingDesk(execution=False)
    with pytest.raises(DeviceFault, match="not in Execution"):
        make_ready(desk, settings(brakes=True, fci=True))
    assert desk.asked == []


def test_a_desk_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be read"):
        open_desk("127.0.0.1", settings(brakes=True, fci=True, password=tmp_path / "none"), is_legacy=False)
    (tmp_path / "password").write_text("secret\n")
    wanted = settings(brakes=True, fci=True, password=tmp_path / "password")
    for is_legacy in (False, True):
        with pytest.raises(DeviceFault, match="does not make the arm ready") as caught:
            open_desk("127.255.255.1", wanted, is_legacy=is_legacy)
        assert "secret" not in str(caught.value)
