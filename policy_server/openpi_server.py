"""A second front end for existing openpi robot clients: their websocket, our batcher, caps and keys.

Like openpi it sends metadata on connecting, answers in lock step, and reports an error as a text message. The
policy is the path of the URL; with a single policy the path may be empty.
"""

import asyncio
import hmac
import itertools
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from policy_server.intake import Intake
from policy_server.openpi_wire import chunk_document, metadata_document, observation_from_openpi, pack, unpack
from policy_server.policies import Policy
from policy_server.rate_cap import RateCap
from policy_server.request import Answer, Arrival
from policy_server.security import ROLE_PREFIX, ServerSecurity
from robot_contract.channel import MAX_MESSAGE_BYTES
from robot_contract.messages import ActionChunk, Refusal

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.0  # openpi clients have none of their own and wait for every answer
ACCEPTED_ROLES = ("bridge", "admin")


class OpenpiServer:
    def __init__(self, intake: Intake, security: ServerSecurity) -> None:
        self._intake = intake
        self._security = security
        self._numbers = itertools.count(1)
        self._server: Server | None = None

    async def start(self, address: str) -> int:
        """Listen on host:port; return the port."""
        host, port = address.rsplit(":", 1)
        self._server = await serve(
            self._converse,
            host.strip("[]"),
            int(port),
            process_request=self._admit,
            origins=[None],  # a robot client sends no Origin; a web page always does
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=10,
            ssl=_ssl_context(self._security),
        )
        return next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _admit(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """Answer the health check, and whoever may not talk to us."""
        if request.path == "/healthz":
            ready = all(policy.current is not None for policy in self._intake.policies)
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            return connection.respond(status, "OK\n" if ready else "not serving yet\n")
        sentence = self._denial(connection, request.headers.get("Authorization", ""))
        if sentence:
            return connection.respond(HTTPStatus.UNAUTHORIZED, sentence + "\n")
        if self._find_policy(request.path) is None:
            name = request.path.strip("/")
            return connection.respond(HTTPStatus.NOT_FOUND, self._intake.policies.unknown(name) + "\n")
        return None

    def _denial(self, connection: ServerConnection, header: str) -> str:
        if self._security.token is not None:
            key = header.removeprefix("Api-Key ").removeprefix("Bearer ")
            if not hmac.compare_digest(key.encode(), self._security.token.encode()):
                return "no valid key came; send 'Authorization: Api-Key TOKEN'"
        elif self._security.mutual:
            certificate: Any = connection.transport.get_extra_info("peercert") or {}
            if not any(ROLE_PREFIX + role in _names(certificate) for role in ACCEPTED_ROLES):
                return f"the certificate has none of the roles {', '.join(ACCEPTED_ROLES)}"
        return ""

    def _find_policy(self, path: str) -> Policy | None:
        name = path.partition("?")[0].strip("/")
        policies = list(self._intake.policies)
        if not name and len(policies) == 1:
            return policies[0]
        return self._intake.policies.find(name)

    async def _converse(self, connection: ServerConnection) -> None:
        request = connection.request
        policy = self._find_policy(request.path if request is not None else "")
        assert policy is not None, "checked before the connection was accepted"
        session = f"openpi {next(self._numbers)}"
        loop = asyncio.get_running_loop()

        def end(ending: Any) -> None:
            loop.create_task(connection.close(1013, ending.sentence[:120]))  # noqa: RUF006  (closes itself)

        refused = self._intake.open(session, end)
        if refused is not None:
            await connection.close(1013, refused.sentence[:120])
            return
        try:
            if policy.current is None:
                await connection.close(1013, f"policy {policy.name} is {policy.state}")
                return
            await connection.send(pack(metadata_document(policy.current.contract)))
            await self._answer_all(connection, policy, session)
        except ConnectionClosed:
            pass
        finally:
            self._intake.close(session)

    async def _answer_all(self, connection: ServerConnection, policy: Policy, session: str) -> None:
        cap = RateCap(self._intake.limits.max_rate_hz, now=time.monotonic())
        command: float | None = None
        for sequence in itertools.count(1):
            data = await connection.recv()
            if not cap.admit(time.monotonic()):
                await asyncio.sleep(cap.period)
            reply = await self._answer(data, policy, session, sequence, command)
            if isinstance(reply, str):
                await connection.send(reply)
                continue
            command = float(reply.actions[-1, 6])
            await connection.send(pack(chunk_document(reply)))

    async def _answer(
        self, data: bytes | str, policy: Policy, session: str, sequence: int, command: float | None
    ) -> ActionChunk | str:
        """The chunk for one message, or the sentence why there is none."""
        arrived_at = time.monotonic()
        if isinstance(data, str) or policy.current is None:
            return "expected a binary msgpack message, and a policy that serves"
        contract = policy.current.contract

        def read() -> Any:
            return observation_from_openpi(
                unpack(data),
                contract,
                session=session,
                sequence=sequence,
                gripper_command=command,
                deadline=DEADLINE_SECONDS,
            )

        arrival = Arrival(
            policy=policy.name,
            session=session,
            sequence=sequence,
            observed_at=0.0,
            deadline=DEADLINE_SECONDS,
            arrived_at=arrived_at,
            read=read,
        )
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._intake.submit(arrival, session=session, deliver=answered.set_result)
        reply = self._intake.settle(await answered).reply
        return f"{reply.reason}: {reply.sentence}" if isinstance(reply, Refusal) else reply


def _names(certificate: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    return [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]


def _ssl_context(security: ServerSecurity) -> ssl.SSLContext | None:
    if security.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(security.tls.certificate, security.tls.key)
    if security.mutual:
        context.load_verify_locations(security.tls.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
