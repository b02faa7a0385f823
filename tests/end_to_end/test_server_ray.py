"""Two replicas behind Ray Serve's gRPC proxy, one of them killed under load."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy_server.served_model import blank_observation
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import PolicyUnavailable

ray: Any = pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address() -> Iterator[str]:
    from ray import serve

    from policy_server.ray_serve import STAND_IN, ReplicaOptions, deploy

    root = str(Path(__file__).parents[2])
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    port = free_port()
    try:
        deploy(ReplicaOptions(policies={"arm": STAND_IN}), replicas=2, gpus=0.0, host="127.0.0.1", port=port)
        yield f"127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def replicas() -> list[str]:
    names = ray.util.list_named_actors(all_namespaces=True)
    return [entry["name"] for entry in names if "PolicyReplica" in entry["name"]]


class Caller:
    """A tool that goes on asking, whatever happens."""

    def __init__(self, address: str, number: int) -> None:
        self.address, self.number = address, number
        self.outcomes: list[tuple[float, str]] = []  # when, and what went wrong or nothing
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        with BlockingPolicyClient(self.address) as client:
            blank = blank_observation(client.get_contract("arm"))
            for sequence in range(100_000):
                if self.stopping.is_set():
                    return
                asked = dataclasses.replace(
                    blank, policy="arm", session=f"tool {self.number}", sequence=sequence, deadline=5.0
                )
                try:
                    chunk = client.predict(asked)
                    assert (chunk.session, chunk.sequence) == (asked.session, sequence)
                    self.outcomes.append((time.monotonic(), ""))
                except PolicyUnavailable as error:
                    self.outcomes.append((time.monotonic(), str(error)))


@pytest.mark.filterwarnings("default")
def test_a_replica_killed_under_load_costs_its_own_calls_only(address: str) -> None:
    callers = [Caller(address, number) for number in range(6)]
    time.sleep(3.0)
    before = replicas()
    assert len(before) == 2
    killed_at = time.monotonic()
    ray.kill(ray.get_actor(before[0], namespace="serve"), no_restart=False)
    give_up_at = time.monotonic() + 60
    while set(replicas()) == set(before) or len(replicas()) < 2:
        assert time.monotonic() < give_up_at, "no replica took the place of the killed one"
        time.sleep(0.2)
    time.sleep(2.0)
    for caller in callers:
        caller.stopping.set()
        caller.thread.join(30)
    outcomes = sorted(outcome for caller in callers for outcome in caller.outcomes)
    failures = [(at - killed_at, text) for at, text in outcomes if text]
    print(f"{len(outcomes)} calls, {len(failures)} failed: {failures[:10]}")
    assert len(failures) <= 2 * len(callers), "at most what was under way, and a retry"
    after = [at for at, text in outcomes if at > killed_at and not text]
    gaps = [b - a for a, b in zip([killed_at, *after], after, strict=False)]
    assert max(gaps) < 5.0, "the other replica went on answering"
