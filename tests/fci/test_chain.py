"""The whole chain and no metal: policy server, `robot-bridge run`, libfranka before a simulated control
interface, pictures of the twin that follows the arm, an operator with the key, and the recording in the end.
"""

import asyncio
from pathlib import Path

from bad_trial import RIG_CHANGES, BadTrial, stand_in

from policy_server.server_process import ServerProcess
from robot_bridge.bridge_process import BridgeProcess
from robot_bridge.franka.simulated import SimulatedFci
from robot_bridge.recording.reading import read_recording
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.client import BlockingPolicyClient, OperatorClient


def write_rig(folder: Path, server: str, robot: str) -> Path:
    """The shipped rig with the stand-in's tool, more patient as in tests/faults, at this address."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    shipped = find_rig("franka_simulated")
    own = load_rig(shipped).flange_from_tcp
    changes = (
        *RIG_CHANGES,
        (f"quaternion: {own.quaternion.tolist()}", f"quaternion: {tool.quaternion.tolist()}"),
        (f"position: {own.position.tolist()}", f"position: {tool.position.tolist()}"),
        ("address: 127.0.0.1 ", f"address: {robot} "),
        ("width: 640", "width: 320"),
        ("height: 480", "height: 240"),
    )
    text = shipped.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "rig.yaml"
    path.write_text(text)
    return path


async def drive(address: str, fci: SimulatedFci) -> None:
    async with OperatorClient(address) as client:
        trial = BadTrial(client, None)  # type: ignore[arg-type] - nothing is injected in the bridge
        async with trial.key():
            began = (await trial.start()).tcp_pose.position[2]
            await asyncio.sleep(1.0)
            moved = await trial.run()
            assert moved.tcp_pose.position[2] < began - 0.002, "the policy goes down"
            assert moved.driver == "franka"

            fci.ask("reflex cartesian_reflex")
            status = await trial.until(lambda s: s.mode == "FAULT")
            assert "cartesian_reflex" in status.why
            await asyncio.sleep(0.7)
            assert (await trial.until(lambda s: True)).mode == "FAULT", "only a person clears it"
            assert (await trial.act("clear")).mode == "IDLE"
            trial.press_id = 0
            await trial.start()  # armed anew, with a new trial and a new press of the key
            await trial.act("stop")
            await trial.until(lambda s: s.mode == "FAULT")


def test_a_trial_from_the_key_to_the_recording(tmp_path: Path, fci: SimulatedFci) -> None:
    recordings = tmp_path / "recordings"
    with ServerProcess(stand_in(tmp_path)) as server:
        rig = write_rig(tmp_path, server.address, fci.address)
        arguments = ["--rig", str(rig), "--policy-server", server.address, "--recordings", str(recordings)]
        with BridgeProcess(arguments) as bridge:
            asyncio.run(drive(bridge.address, fci))
    found = [read_recording(path) for path in recordings.iterdir() if ".mcap" in path.name]
    assert len(found) == 2
    first = min(found, key=lambda recording: recording.ticks[0].at)
    running = [tick for tick in first.ticks if tick.mode == "RUNNING"]
    assert len(running) > 20
    assert any(tick.was_tracked for tick in running)
    assert first.ticks[-1].mode == "FAULT"
    assert "cartesian_reflex" in first.ticks[-1].why
    assert first.pictures
