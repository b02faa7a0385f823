"""How much the policy server adds to the model, and what it does under overload: a real server process.

python benchmarks/serving.py [--quick] [--json FILE]

The model is a timed stand-in, t(B) = 8 + 2 B ms, at most 16 in a batch; two 256 x 256 JPEG pictures in every
observation are sent, checked and decoded for real.

outside_model_p50_ms, _p99_ms  round trip at the client less the model's own time, one robot, on a stream
stream_p50_ms, unary_p50_ms    the same for a stream and for single calls, taken in turn
batched_over_solo              answers per second of 16 robots that send at 30 Hz, against batches of one
overload_goodput_ratio         3 x capacity (48 robots at 25 Hz, deadline 150 ms): answers in time by the
                               robots' clock, over the capacity 16 / t(16)
late_answers                   answers sent after their deadline, by the server's clock
reject_p95_ms                  from the decision to refuse until the refusal is handed to the wire
fairness_min_over_max          answers of the robot that got fewest over those of the one that got most
"""

import asyncio
import statistics
import time
import urllib.request
from collections.abc import Sequence

import numpy as np
from fleet import RobotLog, Robots, Sample, run_fleet, textured_observation
from prometheus_client.parser import text_string_to_metric_families
from report import parser, report

from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, stand_in_contract
from robot_contract import wire_pb2 as pb
from robot_contract.channel import open_channel
from robot_contract.wire import observation_to_wire
from robot_contract.wire_pb2_grpc import PolicyServiceStub

MAX_BATCH = 16
CAPACITY = MAX_BATCH / (0.008 + 0.002 * MAX_BATCH)  # [observations/s]
CONTRACT = stand_in_contract(StandInOptions())
BLANK = blank_observation(CONTRACT)
PACKAGES = ("grpcio", "protobuf", "numpy", "simplejpeg", "prometheus-client")


def percentile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(np.array(values), share))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells
    )


def side_by_side(address: str, samples: int) -> tuple[list[Sample], list[Sample]]:
    """One robot: stream and single call in turn, 20 ms apart."""
    message = observation_to_wire(textured_observation(BLANK, deadline=1.0))

    def sample(chunk: pb.ActionChunk, sent_at: float) -> Sample:
        t = chunk.timings
        return Sample(
            round_trip=time.perf_counter() - sent_at,
            queue=t.queue,
            preprocess=t.preprocess,
            model=t.model,
            total=t.total,
            batch_size=t.batch_size,
        )

    async def measure() -> tuple[list[Sample], list[Sample]]:
        streamed: list[Sample] = []
        single: list[Sample] = []
        async with open_channel(address) as channel:
            stub = PolicyServiceStub(channel)
            call = stub.Stream()
            for sequence in range(samples + 20):
                message.sequence = sequence
                sent_at = time.perf_counter()
                await call.write(message)
                reply = await call.read()
                streamed.append(sample(reply.chunk, sent_at))
                await asyncio.sleep(0.01)
                sent_at = time.perf_counter()
                single.append(sample(await stub.Predict(message), sent_at))
                await asyncio.sleep(0.01)
            call.cancel()
        return streamed[20:], single[20:]

    return asyncio.run(measure())


def work(address: str, robots: Robots, seconds: float) -> list[RobotLog]:
    return asyncio.run(run_fleet(address, CONTRACT, BLANK, robots, seconds=seconds, settle=1.0))


def throughput(logs: Sequence[RobotLog], seconds: float) -> float:
    return sum(len(log.samples) for log in logs) / seconds


def refusal_delays(page: str) -> dict[float, float]:
    """The cumulative histogram of the server: upper bound [s] -> count."""
    with urllib.request.urlopen(page, timeout=10) as answer:
        text = answer.read().decode()
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "policy_refusal_delay_seconds_bucket"
    }


def histogram_percentile(before: dict[float, float], after: dict[float, float], share: float) -> float | None:
    """Interpolated within its bucket; None without refusals or beyond the last bound."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    wanted = share * max(counts.values(), default=0.0)
    low, below = 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted > 0.0 and bound != float("inf"):
            return low + (bound - low) * (wanted - below) / max(count - below, 1.0)
        low, below = bound, count
    return None


def stages(name: str, samples: Sequence[Sample]) -> list[list[object]]:
    columns = {
        "round trip": [s.round_trip for s in samples],
        "outside model": [s.outside_model for s in samples],
        "queue": [s.queue for s in samples],
        "preprocess": [s.preprocess for s in samples],
        "model": [s.model for s in samples],
        "total at server": [s.total for s in samples],
    }
    return [
        [f"{name}: {stage}", *(f"{percentile(values, share) * 1e3:.2f}" for share in (0.5, 0.95, 0.99))]
        for stage, values in columns.items()
    ]


def main() -> None:
    options = parser(__doc__).parse_args()
    samples = 300 if options.quick else 1500
    seconds = 6.0 if options.quick else 30.0
    rounds = 1 if options.quick else 3
    saturating = Robots(count=16, rate_hz=30.0, deadline=1.0)
    overload = Robots(count=48, rate_hz=25.0, deadline=0.150)
    with (
        ServerProcess(["--stand-in", "--metrics-port", "0", "--log-level", "warning"]) as batched,
        ServerProcess(["--stand-in", "--max-batch", "1", "--log-level", "warning"]) as solo,
    ):
        streamed, single = side_by_side(batched.address, samples)
        rates: dict[str, list[float]] = {"batched": [], "solo": []}
        for _ in range(rounds):
            rates["batched"].append(throughput(work(batched.address, saturating, seconds), seconds))
            rates["solo"].append(throughput(work(solo.address, saturating, seconds), seconds))
        before = refusal_delays(batched.pages["metrics"])
        logs = work(batched.address, overload, seconds)
        after = refusal_delays(batched.pages["metrics"])

    outside = [sample.outside_model for sample in streamed]
    answered = [len(log.samples) for log in logs]
    goodput = sum(log.in_time for log in logs) / seconds
    sent = sum(log.sent for log in logs)
    delay = histogram_percentile(before, after, 0.95)
    figures: dict[str, object] = {
        "outside_model_p50_ms": round(percentile(outside, 0.5) * 1e3, 3),
        "outside_model_p99_ms": round(percentile(outside, 0.99) * 1e3, 3),
        "stream_p50_ms": round(percentile(outside, 0.5) * 1e3, 3),
        "unary_p50_ms": round(percentile([s.outside_model for s in single], 0.5) * 1e3, 3),
        "batched_over_solo": round(statistics.mean(rates["batched"]) / statistics.mean(rates["solo"]), 3),
        "overload_goodput_ratio": round(goodput / CAPACITY, 4),
        "late_answers": sum(log.late_at_server for log in logs),
        "fairness_min_over_max": round(min(answered) / max(answered), 4),
    }
    if delay is not None:
        figures["reject_p95_ms"] = round(delay * 1e3, 3)
    overloaded = [sample for log in logs for sample in log.samples]
    print(
        table(
            ["[ms]", "p50", "p95", "p99"],
            [*stages("stream", streamed), *stages("call", single), *stages("overload", overloaded)],
        )
        + "\n"
    )
    print(
        table(
            ["load", "offered/s", "answers/s", "in time/s", "refused/s"],
            [
                ["16 robots, batches", 480, f"{statistics.mean(rates['batched']):.0f}", "", ""],
                ["16 robots, one at a time", 480, f"{statistics.mean(rates['solo']):.0f}", "", ""],
                [
                    "48 robots, overload",
                    f"{sent / seconds:.0f}",
                    f"{sum(answered) / seconds:.0f}",
                    f"{goodput:.0f}",
                    f"{sum(sum(log.refused.values()) for log in logs) / seconds:.0f}",
                ],
            ],
        )
        + "\n"
    )
    n = {
        "outside_model_p50_ms": len(streamed),
        "outside_model_p99_ms": len(streamed),
        "stream_p50_ms": len(streamed),
        "unary_p50_ms": len(single),
        "batched_over_solo": rounds,
        "overload_goodput_ratio": sent,
        "late_answers": sum(answered),
        "fairness_min_over_max": len(answered),
        "reject_p95_ms": sum(sum(log.refused.values()) for log in logs),
    }
    report(figures, n=n, packages=PACKAGES, json_to=options.json)


if __name__ == "__main__":
    main()
