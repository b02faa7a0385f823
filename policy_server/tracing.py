"""One OpenTelemetry trace per answer, with its stages; imported only with --otlp-endpoint."""

import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # pyright: ignore[reportMissingImports]
    OTLPSpanExporter,
)
from opentelemetry.sdk.resources import Resource  # pyright: ignore[reportMissingImports]
from opentelemetry.sdk.trace import TracerProvider  # pyright: ignore[reportMissingImports]
from opentelemetry.sdk.trace.export import (  # pyright: ignore[reportMissingImports]
    BatchSpanProcessor,
    SpanExporter,
)
from opentelemetry.trace import set_span_in_context  # pyright: ignore[reportMissingImports]

from policy_server.request import Answer
from robot_contract.messages import ActionChunk


class AnswerTracer:
    def __init__(self, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "policy-server"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("policy_server")
        # Spans want wall-clock nanoseconds; the server thinks in its monotonic clock.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def record(self, answer: Answer, now: float) -> None:
        """Write down an answer that is about to be sent."""
        reply = answer.reply
        attributes: dict[str, str | int] = {
            "policy": answer.policy,
            "session": reply.session,
            "sequence": reply.sequence,
        }
        if isinstance(reply, ActionChunk):
            attributes["batch_size"] = reply.timings.batch_size
        else:
            attributes["refused"] = reply.reason
        span = self._tracer.start_span(
            "observation", start_time=self._ns(answer.arrived_at), attributes=attributes
        )
        if isinstance(reply, ActionChunk):
            started_at = answer.decided_at - reply.timings.model
            for name, begin, end in (
                ("wait", answer.arrived_at, started_at),
                ("model", started_at, answer.decided_at),
            ):
                child = self._tracer.start_span(
                    name, context=set_span_in_context(span), start_time=self._ns(begin)
                )
                child.end(self._ns(end))
        span.end(self._ns(now))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _ns(self, at: float) -> int:
        return self._epoch_ns + int(at * 1e9)


def trace_to(endpoint: str) -> AnswerTracer:
    """`endpoint` is an OTLP gRPC address on this machine or a trusted collector, such as 127.0.0.1:4317."""
    return AnswerTracer(OTLPSpanExporter(endpoint=endpoint, insecure=True))
