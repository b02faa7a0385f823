"""Three times more observations than the model can take, against a real server: loosely timed, figures are in
benchmarks/serving.py."""

import asyncio
import dataclasses
import json
import time
import urllib.request
from pathlib import Path

from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, stand_in_contract
from robot_contract.client import PolicyClient
from robot_contract.messages import ActionChunk, Refusal

ROBOTS, RATE_HZ, DEADLINE, SECONDS = 12, 12.5, 0.4, 5.0
OPTIONS = StandInOptions(fixed_ms=40.0, per_sample_ms=10.0, image_size=64)
MAX_BATCH = 4
CAPACITY = MAX_BATCH / 0.080  # [observations/s], a third of what is offered


async def robot(client: PolicyClient, number: int) -> list[ActionChunk | Refusal]:
    blank = dataclasses.replace(
        blank_observation(stand_in_contract(OPTIONS)),
        policy="arm",
        session=f"robot {number}",
        deadline=DEADLINE,
    )
    async with client.stream() as stream:

        async def read() -> list[ActionChunk | Refusal]:
            return [reply async for reply in stream]

        reading = asyncio.create_task(read())
        started_at = time.monotonic() + number / ROBOTS / RATE_HZ
        for sequence in range(int(SECONDS * RATE_HZ)):
            await asyncio.sleep(max(0.0, started_at + sequence / RATE_HZ - time.monotonic()))
            await stream.send(dataclasses.replace(blank, sequence=sequence))
        await stream.end()
        return await reading


async def fleet(address: str) -> list[list[ActionChunk | Refusal]]:
    async with PolicyClient(address) as client:
        return await asyncio.gather(*(robot(client, number) for number in range(ROBOTS)))


def test_overload_answers_in_time_or_says_why_and_starves_nobody(tmp_path: Path) -> None:
    source = tmp_path / "slow.json"
    source.write_text(json.dumps(dataclasses.asdict(OPTIONS)))
    arguments = ["--stand-in", "--checkpoints", f"arm={source}", "--max-batch", str(MAX_BATCH)]
    with ServerProcess([*arguments, "--metrics-port", "0"]) as server:
        logs = asyncio.run(fleet(server.address))
        with urllib.request.urlopen(server.pages["metrics"], timeout=10) as page:
            metrics = page.read().decode()
    served: list[int] = []
    for log in logs:
        assert sorted(reply.sequence for reply in log) == list(range(int(SECONDS * RATE_HZ))), (
            "every observation gets exactly one answer"
        )
        chunks = [reply for reply in log if isinstance(reply, ActionChunk)]
        assert all(chunk.timings.total <= DEADLINE for chunk in chunks), "none was sent late"
        assert [chunk.sequence for chunk in chunks] == sorted(chunk.sequence for chunk in chunks)
        assert {reply.reason for reply in log if isinstance(reply, Refusal)} <= {"superseded", "deadline"}
        served.append(len(chunks))
    assert 'policy_late_answers_sent_total{policy="arm"} ' not in metrics, "counted only when it happens"
    assert min(served) >= 0.5 * max(served)
    assert sum(served) / SECONDS >= 0.5 * CAPACITY
    batches = [reply.timings.batch_size for log in logs for reply in log if isinstance(reply, ActionChunk)]
    assert max(batches) == MAX_BATCH
