"""What an operator can see: Prometheus page, JSON logs, traces."""

import dataclasses
import json
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, stand_in_contract
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, Refusal, Timings

BLANK = dataclasses.replace(blank_observation(stand_in_contract(StandInOptions())), deadline=10.0)


def read_page(url: str) -> dict[tuple[str, str], float]:
    """(sample name, its labels' values joined) -> value."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, " ".join(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_prometheus_page_and_json_logs_tell_what_happened() -> None:
    arguments = ["--stand-in", "--metrics-port", "0", "--log-format", "json"]
    with ServerProcess(arguments) as server, BlockingPolicyClient(server.address) as client:
        for _ in range(3):
            client.predict(BLANK)
        with pytest.raises(PolicyUnavailable):
            client.predict(dataclasses.replace(BLANK, policy="from-outside"))
        stream = client.open_stream()
        stream.send(dataclasses.replace(BLANK, deadline=0.001))
        assert isinstance(stream.receive(10), Refusal)
        stream.send(BLANK)
        assert isinstance(stream.receive(10), ActionChunk)
        page = read_page(server.pages["metrics"])
        stream.close()
    assert page["policy_chunks_total", "stand-in"] == 4
    assert page["policy_refusals_total", "stand-in deadline"] == 1
    assert page["policy_refusals_total", " unknown_policy"] == 1
    assert not any("from-outside" in labels for _, labels in page), "no label is made of a message"
    assert page["policy_sessions", ""] == 1
    assert page["policy_queue_length", "stand-in"] == 0
    assert page["policy_batch_size_count", "stand-in"] == 4
    for stage in ("queue", "preprocess", "model", "total"):
        assert page["policy_stage_seconds_count", f"stand-in {stage}"] == 4
    assert page["policy_stage_seconds_sum", "stand-in model"] >= 4 * 0.010
    assert page["policy_batch_cost_seconds", "stand-in a"] > 0.004
    assert page["policy_refusal_delay_seconds_count", ""] == 2
    entries = [json.loads(line) for line in server.log.splitlines()]
    assert any("listening on" in entry["message"] for entry in entries)
    assert {"at", "level", "logger", "message"} <= set(entries[0])


def test_an_answer_becomes_a_trace_with_its_stages() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra `telemetry` is not installed")
    pytest.importorskip("opentelemetry.exporter.otlp", reason="the extra `telemetry` is not installed")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from policy_server.request import Answer
    from policy_server.tracing import AnswerTracer

    exporter = InMemorySpanExporter()
    tracer = AnswerTracer(exporter)
    now = time.monotonic()
    chunk = ActionChunk(
        session="robot",
        sequence=3,
        observed_at=0.0,
        actions=BLANK.joint_position.reshape(1, 7),
        interface_digest="",
        policy_digest="",
        timings=Timings(queue=0.001, preprocess=0.001, model=0.010, total=0.02, batch_size=2),
    )
    refused = Refusal(session="robot", sequence=4, reason="deadline", sentence="too late")
    for reply in (chunk, refused):
        tracer.record(
            Answer(
                reply=reply, arrived_at=now - 0.02, decided_at=now - 0.001, deadline_at=now + 1, policy="p"
            ),
            now,
        )
    tracer.close()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["wait", "model", "observation", "observation"]
    wait, model, answered, refusal = spans
    assert answered.end_time - answered.start_time == pytest.approx(20e6, rel=0.01)
    assert model.end_time - model.start_time == pytest.approx(10e6, rel=0.01)
    assert {wait.parent.span_id, model.parent.span_id} == {answered.context.span_id}
    assert refusal.attributes["refused"] == "deadline"
