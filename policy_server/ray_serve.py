"""Policies on many GPUs or machines: replicas behind Ray Serve's gRPC proxy, the same batcher inside each.

    python -m policy_server.ray_serve NAME=FOLDER --replicas 4 --gpus 1

Ray's proxy carries single calls only: `GetContract` and `Predict` (docs/scale_out.md). Needs the extra `ray`.
"""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import grpc
import ray  # pyright: ignore[reportMissingImports]
import tyro
from ray import serve  # pyright: ignore[reportMissingImports]
from ray.serve.config import gRPCOptions  # pyright: ignore[reportMissingImports]

from policy_server.engine_worker import EngineWorker
from policy_server.intake import Intake, ServerLimits
from policy_server.metrics import Metrics
from policy_server.policies import Policies, Policy
from policy_server.reloading import Reloader
from policy_server.request import Answer, Arrival
from policy_server.served_model import ServedModel
from policy_server.service import STATUS, arrival_from_wire
from policy_server.stand_in import StandIn, StandInOptions
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.messages import Refusal

STAND_IN = "stand-in"  # as a source: the timed stand-in


@dataclass(frozen=True, kw_only=True)
class ReplicaOptions:
    policies: Mapping[str, str]  # name -> checkpoint folder, or `stand-in`
    device: str = "cpu"
    dtype: str = ""
    limits: ServerLimits = field(default_factory=ServerLimits)


def load_source(options: ReplicaOptions, source: str, name: str) -> ServedModel:
    if source == STAND_IN:
        return StandIn(StandInOptions(), name=name)

    from policy_server.loading import load_model  # torch only where a model is served

    return load_model(Path(source), device=options.device, dtype=options.dtype)


class PolicyReplica:
    """One process with its own models, batcher and engine thread; stateless from call to call."""

    async def __init__(self, options: ReplicaOptions) -> None:
        self._policies, metrics = Policies(), Metrics()
        engine = EngineWorker(self._policies, metrics, decode_threads=2)
        self._intake = Intake(self._policies, engine, metrics, options.limits)
        reloader = Reloader(
            engine, metrics, options.limits, lambda source, name: load_source(options, source, name)
        )
        for name, source in options.policies.items():
            policy = Policy(name=name, source=source)
            self._policies.add(policy)
            await reloader.load(policy)

    async def GetContract(self, request: pb.GetContractRequest, grpc_context: Any) -> pb.PolicyContract:
        policy = self._policies.find(request.policy)
        if policy is None or policy.current is None:
            grpc_context.set_code(grpc.StatusCode.NOT_FOUND)
            grpc_context.set_details(self._policies.unknown(request.policy))
            return pb.PolicyContract()
        return policy.current.contract_message

    async def Predict(self, request: pb.Observation, grpc_context: Any) -> pb.ActionChunk:
        arrival = arrival_from_wire(request, time.monotonic())
        answer = await self._answer(arrival)
        if isinstance(answer.reply, Refusal):
            grpc_context.set_code(STATUS[answer.reply.reason])
            grpc_context.set_details(answer.reply.sentence)
            return pb.ActionChunk()
        return wire.action_chunk_to_wire(answer.reply)

    async def _answer(self, arrival: Arrival) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ticket = self._intake.submit(arrival, session=arrival.session, deliver=answered.set_result)
        try:
            return self._intake.settle(await answered)
        finally:
            if ticket is not None:
                self._intake.withdraw(ticket)


def deploy(options: ReplicaOptions, *, replicas: int, gpus: float, host: str, port: int) -> None:
    """Start the replicas and the proxy on a running Ray, and return when they serve."""
    serve.start(
        grpc_options=gRPCOptions(
            port=port,
            grpc_servicer_functions=[
                "robot_contract.wire_pb2_grpc.add_PolicyServiceServicer_to_server",
            ],
        ),
        # The proxy cannot do without an HTTP port; it serves health pages there and no policy.
        http_options={"host": host, "port": port + 1},
    )
    replica = serve.deployment(PolicyReplica).options(
        num_replicas=replicas,
        max_ongoing_requests=4 * options.limits.max_batch,
        max_queued_requests=options.limits.max_waiting,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        ray_actor_options={"num_gpus": gpus, "num_cpus": 1},
    )
    serve.run(replica.bind(options), name="policies")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Serve policies from replicas on Ray: the cluster that RAY_ADDRESS names, else one on this machine."""

    policies: Annotated[tuple[str, ...], tyro.conf.Positional]
    """NAME=FOLDER, the folder readable on every machine; `stand-in` as a folder is the timed stand-in."""
    replicas: int = 2
    gpus: float = 0.0
    """GPUs of each replica; with more than 0 the device is cuda."""
    port: int = 50061
    """Of the gRPC proxy, on every machine of the cluster that has a replica."""


def main() -> None:
    arguments = tyro.cli(Arguments, description=Arguments.__doc__)
    policies = dict(argument.split("=", 1) for argument in arguments.policies)
    ray.init()
    options = ReplicaOptions(policies=policies, device="cuda" if arguments.gpus > 0 else "cpu")
    deploy(options, replicas=arguments.replicas, gpus=arguments.gpus, host="127.0.0.1", port=arguments.port)
    sys.stdout.write(f"policy-server ray on 127.0.0.1:{arguments.port}\n")
    sys.stdout.flush()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    stopped.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
