"""A policy server from start to end: bind, load, warm up, serve, reload, drain."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer  # `health.aio`, but for type checkers
from grpc_reflection.v1alpha import reflection

from policy_server.admin import AdminService
from policy_server.admin_socket import make_private_folder, socket_path
from policy_server.engine_worker import EngineWorker
from policy_server.intake import Intake, ServerLimits
from policy_server.metrics import Metrics
from policy_server.openpi_server import OpenpiServer
from policy_server.policies import Policies, Policy
from policy_server.reloading import Loader, Reloader
from policy_server.request import Answer
from policy_server.security import RoleInterceptor, ServerSecurity
from policy_server.service import SERVICE, PolicyService
from robot_contract.channel import server_options
from robot_contract.wire_pb2_grpc import add_AdminServiceServicer_to_server

log = logging.getLogger(__name__)

HANDSHAKE_MS = 10_000  # a connection that has not finished its handshake by then is closed
SWITCH_SECONDS = 2e-4  # a decoding thread waits this long for the interpreter; Python's default is 5 ms
STUCK_SECONDS = 30.0  # a batch that runs longer makes the server unhealthy
STOP_SECONDS = 1.0  # for statuses to reach the clients after the last answer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class CannotStart(RuntimeError):
    """One sentence for the person who started the server."""


class Tracer(Protocol):
    def record(self, answer: Answer, now: float) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    address: str  # host:port
    policies: Mapping[str, str]  # name -> where it is loaded from
    load: Loader = field(repr=False)
    security: ServerSecurity = field(default_factory=ServerSecurity)
    limits: ServerLimits = field(default_factory=ServerLimits)
    decode_threads: int = 2
    admin_socket: Path | None = None  # None: the default one of the port
    drain_seconds: float = 10.0
    openpi_address: str = ""  # host:port of the second front end; empty for none
    gpu_memory: Callable[[], Mapping[str, int]] | None = field(default=None, repr=False)  # bytes by kind
    tracer: Tracer | None = field(default=None, repr=False)


class PolicyServer:
    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.policies = Policies()
        self.metrics = Metrics()
        for name, source in options.policies.items():
            policy = Policy(name=name, source=source)
            self.policies.add(policy)
            self.metrics.watch_queue(name, policy.queue_length)
        self.engine = EngineWorker(self.policies, self.metrics, decode_threads=options.decode_threads)
        self.intake = Intake(self.policies, self.engine, self.metrics, options.limits)
        self.reloader = Reloader(self.engine, self.metrics, options.limits, options.load)
        if options.tracer is not None:
            self.intake.observe = options.tracer.record
        self.service = PolicyService(self.intake)
        self.admin = AdminService(self.policies, self.reloader, program_version())
        self.port = 0
        self.openpi: OpenpiServer | None = None
        self.openpi_port = 0
        self._health = HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[RoleInterceptor(options.security)],
            options=[*server_options(), ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS)],
            maximum_concurrent_rpcs=4 * options.limits.max_sessions,
        )
        self._server.add_generic_rpc_handlers((self.service.handler(),))
        add_AdminServiceServicer_to_server(self.admin, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (
                SERVICE,
                "touchdown.v1.AdminService",
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                reflection.SERVICE_NAME,
            ),
            self._server,
        )

    @property
    def address(self) -> str:
        return f"{self.options.address.rsplit(':', 1)[0]}:{self.port}"

    async def start(self) -> None:
        """Listen, with health NOT_SERVING: nothing is loaded yet."""
        await self._set_health(NOT_SERVING)
        self._bind()
        await self._server.start()
        if self.options.openpi_address:
            await self._start_openpi(self.options.openpi_address)
        self._watch = asyncio.get_running_loop().create_task(self._watch_over())
        log.info("listening on %s, admin socket %s", self.address, self.admin_socket)

    async def _start_openpi(self, address: str) -> None:
        problem = self.options.security.problem_with(address)
        if problem:
            raise CannotStart(problem)
        self.openpi = OpenpiServer(self.intake, self.options.security)
        try:
            self.openpi_port = await self.openpi.start(address)
        except OSError as error:
            raise CannotStart(f"cannot listen on {address}: {error.strerror}") from error

    async def _watch_over(self) -> None:
        """Now and then: end silent streams, and say so when a policy stops answering or answers again."""
        while True:
            await asyncio.sleep(min(1.0, 0.25 * self.options.limits.idle_seconds))
            now = time.monotonic()
            self.intake.end_silent_streams(now)
            since = self.engine.running_since()
            stuck = since is not None and now - since > STUCK_SECONDS
            for policy in self.policies:
                healthy = policy.is_healthy() and not stuck
                if policy.state == ("serving" if not healthy else "failed"):
                    policy.state = "serving" if healthy else "failed"
                    log.warning("policy %s is %s", policy.name, policy.state)
                    await self._health.set(policy.name, SERVING if healthy else NOT_SERVING)
                    whole = all(other.state == "serving" for other in self.policies)
                    await self._health.set("", SERVING if whole else NOT_SERVING)

    async def load(self) -> None:
        """Load and warm up every policy; each turns to SERVING when it is ready."""
        for policy in self.policies:
            policy.state = "warming"
            await self.reloader.load(policy)
            await self._health.set(policy.name, SERVING)
        if self.options.gpu_memory is not None:
            self.metrics.watch_gpu(self.options.gpu_memory)
        await self._set_health(SERVING)

    async def reload_all(self) -> None:
        """Every policy again from where it is; a failure leaves the old one serving."""
        for policy in self.policies:
            try:
                await self.reloader.reload(policy, "")
            except (ValueError, OSError) as error:
                log.error("policy %s was not reloaded: %s", policy.name, error)  # noqa: TRY400

    async def stop(self) -> None:
        """Take nothing new, answer what waits, then go."""
        self.intake.draining = True
        for policy in self.policies:
            policy.state = "draining"
        await self._set_health(NOT_SERVING)
        for version_ in self.policies.versions():
            if not await self.intake.drain(version_, timeout=self.options.drain_seconds):
                log.warning("%s still ran after %g s", version_.name, self.options.drain_seconds)
        self._watch.cancel()
        if self.openpi is not None:
            await self.openpi.stop()
        self.service.end_streams()
        await self._server.stop(STOP_SECONDS)
        self.engine.close()
        if self.options.tracer is not None:
            self.options.tracer.close()
        self.admin_socket.unlink(missing_ok=True)

    def _bind(self) -> None:
        address = self.options.address
        problem = self.options.security.problem_with(address)
        if problem:
            raise CannotStart(problem)
        credentials = self.options.security.credentials()
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise CannotStart(
                f"cannot listen on {address}: is another server there, or is it not this machine's address?"
                " Pass another --address HOST:PORT"
            ) from error
        self.admin_socket = self.options.admin_socket or socket_path(self.port)
        try:
            make_private_folder(self.admin_socket.parent)
        except PermissionError as error:
            raise CannotStart(str(error)) from error
        self._server.add_insecure_port(f"unix:{self.admin_socket}")

    async def _set_health(self, state: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", SERVICE, *(policy.name for policy in self.policies)):
            await self._health.set(name, state)


async def run(options: ServerOptions, *, say: Callable[[str], None], metrics_port: int | None) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads every policy."""
    sys.setswitchinterval(SWITCH_SECONDS)
    server = PolicyServer(options)
    stopped = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def reload() -> None:
        task = loop.create_task(server.reload_all())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    await server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    say(f"policy-server listening on {server.address}")
    if server.openpi is not None:
        say(f"policy-server openpi on {options.openpi_address.rsplit(':', 1)[0]}:{server.openpi_port}")
    if metrics_port is not None:
        say(f"policy-server metrics on http://127.0.0.1:{server.metrics.serve(metrics_port)}/metrics")
    loading = loop.create_task(server.load())
    waiting = loop.create_task(stopped.wait())
    await asyncio.wait({loading, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if loading.done():
            loading.result()
            loop.add_signal_handler(signal.SIGHUP, reload)
            say(f"policy-server serving {', '.join(policy.name for policy in server.policies)}")
            await stopped.wait()
        log.info("stopping: answering what waits")
    finally:
        waiting.cancel()
        await server.stop()


def program_version() -> str:
    try:
        return version("robot_bridge")
    except PackageNotFoundError:
        return "source"
