"""An operator who sends the mock arm to another pose, on a machine that may have no core to spare."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from robot_bridge.rig_file import find_rig
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import JointGoal, OperatorEvent

_PATIENT = (  # ticks that come late hold this arm no sooner than a person would notice
    ("control_rate_hz: 100", "control_rate_hz: 50"),
    ("missed_ticks: 10 ", "missed_ticks: 100 "),
    ("  profile: reduced", "  arm_age: 0.1\n  profile: reduced"),
)
SET_OUT = 0.01  # [m/s] a moving arm
PATIENCE = 60.0  # [s]


def patient_rig(folder: Path) -> str:
    text = find_rig("mock").read_text()
    for old, new in _PATIENT:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "rig.yaml"
    path.write_text(text)
    return str(path)


@contextlib.asynccontextmanager
async def moving_arm(
    address: str, *, goal: str = "ready", speed: float = SET_OUT
) -> AsyncIterator[OperatorClient]:
    """The arm is on its way when the block begins; what becomes of it is the block's business."""
    async with OperatorClient(address) as operator:
        await operator.send(OperatorEvent(action="arm", operator="ann"))

        async def move() -> None:
            async for _ in operator.move_to(JointGoal(name=goal)):
                pass

        moving = asyncio.ensure_future(move())
        try:
            await asyncio.wait_for(_until_it_moves(operator, speed), PATIENCE)
            yield operator
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)


async def _until_it_moves(operator: OperatorClient, speed: float) -> None:
    async for status in operator.watch(50.0):
        if status.mode == "RUNNING" and status.tcp_speed > speed:
            return
        if status.mode == "HOLDING" and status.needs.startswith("start"):
            with contextlib.suppress(BridgeUnavailable):  # something stands against it for a moment
                await operator.send(OperatorEvent(action="start", operator="ann"))


async def arrive(address: str, goal: str) -> None:
    """Go there and stand, however often a busy machine holds on the way."""
    async with OperatorClient(address) as operator:
        await operator.send(OperatorEvent(action="arm", operator="ann"))
        async for status in operator.move_to(JointGoal(name=goal)):
            if status.mode == "HOLDING" and status.needs.startswith("start"):
                with contextlib.suppress(BridgeUnavailable):
                    await operator.send(OperatorEvent(action="start", operator="ann"))
        await operator.send(OperatorEvent(action="disarm", operator="ann"))
