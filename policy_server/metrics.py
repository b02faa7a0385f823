"""Prometheus metrics of the server, and their page on a loopback port."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # [s]
REFUSAL_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.02, 0.05)  # [s]
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.served = Counter("policy_chunks", "Chunks sent", ["policy"], registry=registry)
        self.refused = Counter(
            "policy_refusals", "Observations without a chunk", ["policy", "reason"], registry=registry
        )
        self.late = Counter(
            "policy_late_answers_suppressed",
            "Chunks that were ready after their deadline and therefore not sent",
            ["policy"],
            registry=registry,
        )
        self.sent_late = Counter(
            "policy_late_answers_sent",
            "Chunks whose sending began after their deadline; stays zero",
            ["policy"],
            registry=registry,
        )
        self.queue = Gauge("policy_queue_length", "Observations waiting", ["policy"], registry=registry)
        self.sessions = Gauge("policy_sessions", "Open streams", registry=registry)
        self.batch_size = Histogram(
            "policy_batch_size",
            "Observations per batch",
            ["policy"],
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.stage = Histogram(
            "policy_stage_seconds",
            "Time per stage: queue, preprocess, model, total",
            ["policy", "stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.refusal_delay = Histogram(
            "policy_refusal_delay_seconds",
            "From the decision to refuse until the refusal is handed to the wire",
            buckets=REFUSAL_BUCKETS,
            registry=registry,
        )
        self.cost = Gauge(
            "policy_batch_cost_seconds", "Fitted t(B) = a + b B", ["policy", "term"], registry=registry
        )
        self.reloads = Counter("policy_reloads", "Reloads", ["policy", "outcome"], registry=registry)
        self.gpu_memory = Gauge(
            "policy_gpu_memory_bytes", "Memory on the accelerator", ["kind"], registry=registry
        )

    def watch_gpu(self, read: Callable[[], Mapping[str, int]]) -> None:
        """Show what `read` says whenever the page is asked for."""
        for kind in read():
            self.gpu_memory.labels(kind).set_function(lambda kind=kind: read().get(kind, 0))

    def watch_queue(self, policy: str, length: Callable[[], int]) -> None:
        self.queue.labels(policy).set_function(length)

    def serve(self, port: int, host: str = "127.0.0.1") -> int:
        """Start the page in its own thread; return the port (useful with 0)."""
        server, _ = start_http_server(port, addr=host, registry=self.registry)
        return int(server.server_port)
