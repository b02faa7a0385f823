"""`policy-server`: serve policies to robots, and look after servers, certificates and checkpoint folders."""

import asyncio
import dataclasses
import datetime
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import tyro

from policy_server.admin_socket import socket_path
from policy_server.certificates import make_certificates
from policy_server.commands import (
    NAMES,
    Command,
    Convert,
    Inspect,
    MakeCerts,
    MakeRandom,
    Reload,
    Serve,
    Status,
)
from policy_server.contract_json import contract_to_json, read_contract
from policy_server.intake import ServerLimits
from policy_server.logs import set_up_logs
from policy_server.reloading import Loader
from policy_server.security import ServerSecurity, read_token
from policy_server.server import CannotStart, ServerOptions, Tracer, run
from policy_server.stand_in import STAND_IN_NAME, StandIn, StandInOptions, load_stand_in
from policy_server.status_table import render_status
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import TlsFiles, open_blocking_channel
from robot_contract.errors import ContractError
from robot_contract.messages import ServerStatus
from robot_contract.wire_pb2_grpc import AdminServiceStub


def main(arguments: list[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["convert"]:
        from policy_server.convert.command import main as convert  # torch only where it is needed

        convert(arguments[1:])
        return
    if arguments and arguments[0] not in (*NAMES, "-h", "--help"):
        arguments.insert(0, "serve")
    if arguments[:1] == ["serve"] and arguments[1:] and not arguments[1].startswith("-"):
        arguments.insert(1, "--checkpoints")
    command = tyro.cli(Command, prog="policy-server", description=__doc__, args=arguments)  # pyright: ignore[reportArgumentType, reportCallIssue]
    try:
        match command:
            case Serve():
                serve(command)
            case Reload():
                print(
                    render_status(
                        _call(command, "Reload", pb.ReloadRequest(policy=command.name, path=command.path))
                    )
                )
            case Status():
                show_status(command)
            case MakeCerts():
                make_certs(command)
            case Inspect():
                inspect(command)
            case MakeRandom():
                make_random(command)
            case Convert():
                pass  # has its own options, see above
    except (CannotStart, ValueError, OSError, ModuleNotFoundError) as error:
        raise SystemExit(f"policy-server: {error}") from None


def serve(command: Serve) -> None:
    set_up_logs(command.log_format, command.log_level)
    token = None if command.token_file is None else read_token(command.token_file)
    tls = None if command.tls is None else TlsFiles.in_folder(command.tls, "policy")
    policies, load = find_policies(command)
    options = ServerOptions(
        address=command.address,
        policies=policies,
        load=load,
        security=ServerSecurity(tls=tls, token=token),
        limits=ServerLimits(
            max_batch=command.max_batch,
            max_waiting=command.max_waiting,
            max_sessions=command.max_sessions,
            max_rate_hz=command.max_rate_hz,
            idle_seconds=command.idle_seconds,
            crowded_idle_seconds=command.crowded_idle_seconds,
        ),
        decode_threads=command.decode_threads,
        admin_socket=command.admin_socket,
        openpi_address=command.openpi_address,
        gpu_memory=gpu_memory_reader(command),
        tracer=make_tracer(command.otlp_endpoint),
    )
    asyncio.run(run(options, say=lambda line: print(line, flush=True), metrics_port=command.metrics_port))


def find_policies(command: Serve) -> tuple[dict[str, str], Loader]:
    """Names and sources, and how a source becomes a model."""
    policies: dict[str, str] = {}
    for argument in command.checkpoints:
        name, equals, source = argument.rpartition("=")
        if not equals:
            name = STAND_IN_NAME if command.stand_in else read_contract(Path(source)).name
        if name in policies:
            raise ContractError(f"two policies are called {name!r}; give one of them another as NAME=FOLDER")
        policies[name] = source
    if command.stand_in:
        return policies or {STAND_IN_NAME: ""}, load_stand_in_source
    if not policies:
        raise ContractError(
            "no checkpoint folder was given; try --help, or --stand-in to try the server alone"
        )

    from policy_server.loading import load_model  # torch only where a model is served

    return policies, lambda source, _name: load_model(
        Path(source), device=command.device, dtype=command.dtype
    )


def gpu_memory_reader(command: Serve) -> Callable[[], Mapping[str, int]] | None:
    if command.stand_in or command.device == "cpu":
        return None

    from policy_server.loading import gpu_memory

    return gpu_memory


def make_tracer(endpoint: str) -> Tracer | None:
    if not endpoint:
        return None

    from policy_server.tracing import trace_to  # extra `telemetry`

    return trace_to(endpoint)


def load_stand_in_source(source: str, name: str) -> StandIn:
    return load_stand_in(Path(source), name=name) if source else StandIn(StandInOptions(), name=name)


def show_status(command: Status) -> None:
    status = _call(command, "Status", pb.StatusRequest())
    if command.json:
        print(json.dumps(dataclasses.asdict(status)))
    else:
        print(render_status(status))


def make_certs(command: MakeCerts) -> None:
    now = datetime.datetime.now(datetime.UTC)
    make_certificates(command.folder, hosts=command.host, days=command.days, now=now)
    print(f"wrote ca.pem and certificates for policy, bridge, console and admin to {command.folder}")


def inspect(command: Inspect) -> None:
    from policy_server.checkpoint import open_checkpoint

    checkpoint = open_checkpoint(command.folder)
    contract = checkpoint.contract
    if command.json:
        print(contract_to_json(contract))
        return
    print(f"{contract.name}: {contract.chunk_length} actions at {contract.control_rate_hz:g} Hz")
    print(f"  {contract.reference}, {contract.frame} frame, {contract.execution},", end=" ")
    print(f"{contract.execute_steps} carried out per chunk")
    for camera in contract.cameras:
        print(f"  camera {camera.name}: {camera.mount}, {camera.width} x {camera.height}")
    print(f"  interface {contract.interface_digest}")
    print(f"  policy    {contract.policy_digest}")
    for key, value in contract.provenance:
        print(f"  {key}: {value}")


def make_random(command: MakeRandom) -> None:
    from policy_server.random_checkpoint import make_random_checkpoint

    make_random_checkpoint(
        command.folder, seed=command.seed, name=command.name, wrist_camera=command.wrist_camera
    )
    print(f"wrote an untrained policy called {command.name} to {command.folder}")


def _call(
    command: Reload | Status, method: str, request: pb.ReloadRequest | pb.StatusRequest
) -> ServerStatus:
    address = command.server or f"unix:{socket_path(command.port)}"
    tls = None if command.tls is None else TlsFiles.in_folder(command.tls, "admin")
    with open_blocking_channel(address, tls) as channel:
        try:
            reply = getattr(AdminServiceStub(channel), method)(request, timeout=600.0)
        except grpc.RpcError as error:
            raise CannotStart(f"{address}: {error.code().name}: {error.details()}") from None  # pyright: ignore[reportAttributeAccessIssue]
    return wire.server_status_from_wire(reply)


if __name__ == "__main__":
    main()
