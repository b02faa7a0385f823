"""Serves OperatorService, health and reflection in its own thread: on loopback, or with certificates."""

import asyncio
import threading

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from robot_bridge.bridge import Bridge
from robot_bridge.operator_service import OperatorServicer
from robot_contract import wire_pb2 as pb
from robot_contract.channel import TlsFiles, is_loopback, server_options
from robot_contract.errors import RigError
from robot_contract.wire_pb2_grpc import add_OperatorServiceServicer_to_server

SERVICE = pb.DESCRIPTOR.services_by_name["OperatorService"].full_name
_START_SECONDS = 10.0
_FAREWELL_SECONDS = 0.5


class OperatorServer:
    def __init__(self, bridge: Bridge, address: str, tls: TlsFiles | None) -> None:
        if tls is None and not is_loopback(address):
            raise RigError(
                f"operator address {address} is not on this machine: off loopback certificates are needed;"
                " name their folder as operator.tls_folder in the rig file"
            )
        self._bridge = bridge
        self._address = address
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._problem = ""
        self._ending = asyncio.Event()
        self.port = 0  # the one that was given, or found when the address ends in :0
        self._thread = threading.Thread(target=self._run, name="operator-service", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._is_up.wait(_START_SECONDS)
        if self._problem:
            raise RigError(self._problem)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(timeout=_START_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._is_up.set()
            self._loop.close()

    async def _serve(self) -> None:
        server = grpc.aio.server(options=server_options())
        add_OperatorServiceServicer_to_server(
            OperatorServicer(self._bridge, uses_tls=self._tls is not None), server
        )
        health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        try:
            self.port = self._bind(server)
        except RuntimeError:
            self._problem = (
                f"cannot listen on {self._address}: another program has this port, or the address is not"
                " one of this machine; give another one with --address"
            )
            return
        await server.start()
        for name in ("", SERVICE):
            await health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._is_up.set()
        await self._ending.wait()
        await health.enter_graceful_shutdown()
        await server.stop(_FAREWELL_SECONDS)

    def _bind(self, server: grpc.aio.Server) -> int:
        if self._tls is None:
            return server.add_insecure_port(self._address)
        credentials = grpc.ssl_server_credentials(
            [(self._tls.key.read_bytes(), self._tls.certificate.read_bytes())],
            root_certificates=self._tls.ca.read_bytes(),
            require_client_auth=True,
        )
        return server.add_secure_port(self._address, credentials)
