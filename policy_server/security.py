"""Who may call what: TLS credentials, tokens, and the roles that each method accepts.

A role comes from the client certificate's subject alternative name, from the token, or from being on this
machine. Without TLS the server listens on loopback only.
"""

import hmac
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from robot_contract.channel import TOKEN_HEADER, TlsFiles, is_loopback

ROLE_PREFIX = "urn:touchdown:role:"
CERTIFICATE_ROLES = ("policy", "bridge", "console", "admin")
LOCAL = "local"  # on this machine, without TLS and without a token
TOKEN = "token"  # knows the token

_EVERY_ROLE = frozenset({*CERTIFICATE_ROLES, LOCAL, TOKEN})
_ASKING = frozenset({"bridge", "admin", LOCAL, TOKEN})
_ADMIN = frozenset({"admin"})

METHOD_ROLES: dict[str, frozenset[str]] = {
    "/touchdown.v1.PolicyService/GetContract": _EVERY_ROLE,
    "/touchdown.v1.PolicyService/Predict": _ASKING,
    "/touchdown.v1.PolicyService/Stream": _ASKING,
    "/touchdown.v1.AdminService/Reload": _ADMIN,
    "/touchdown.v1.AdminService/ListPolicies": _ADMIN,
    "/touchdown.v1.AdminService/Status": _ADMIN,
    "/grpc.health.v1.Health/Check": _EVERY_ROLE,
    "/grpc.health.v1.Health/List": _EVERY_ROLE,
    "/grpc.health.v1.Health/Watch": _EVERY_ROLE,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _EVERY_ROLE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _EVERY_ROLE,
}


@dataclass(frozen=True, kw_only=True)
class ServerSecurity:
    tls: TlsFiles | None = None  # with it alone, clients need a certificate with a role
    token: str | None = None  # with it, clients need the token instead of a certificate

    @property
    def mutual(self) -> bool:
        return self.tls is not None and self.token is None

    def credentials(self) -> grpc.ServerCredentials | None:
        if self.tls is None:
            return None
        return grpc.ssl_server_credentials(
            [(self.tls.key.read_bytes(), self.tls.certificate.read_bytes())],
            root_certificates=self.tls.ca.read_bytes() if self.mutual else None,
            require_client_auth=self.mutual,
        )

    def problem_with(self, address: str) -> str:
        """Why the server must not listen there, or an empty string."""
        if self.tls is not None or is_loopback(address):
            return ""
        return (
            f"refusing to listen on {address} without TLS: everyone on the network could read images and"
            " steer a robot; run `policy-server make-certs DIR` and pass --tls DIR, or listen on 127.0.0.1"
        )


def read_token(path: Path) -> str:
    token = path.read_text().strip()
    if not len(token) >= 16:
        raise ValueError(f"{path} holds a token of {len(token)} characters, expected at least 16")
    return token


@dataclass(frozen=True, kw_only=True)
class Denial:
    status: grpc.StatusCode
    sentence: str


def role_of(peer: str, auth: Mapping[str, Sequence[bytes]]) -> str | None:
    """The role of a connection: its certificate's, admin on the Unix socket, local on loopback."""
    if peer.startswith("unix:"):
        return "admin"
    names = [name.decode(errors="replace") for name in auth.get("x509_subject_alternative_name", ())]
    roles = [name.removeprefix(ROLE_PREFIX) for name in names if name.startswith(ROLE_PREFIX)]
    if len(roles) == 1 and roles[0] in CERTIFICATE_ROLES:
        return roles[0]
    return None if names else LOCAL


def find_denial(
    method: str, *, security: ServerSecurity, peer: str, auth: Mapping[str, Sequence[bytes]], header: str
) -> Denial | None:
    """Why this call is not allowed, or None."""
    role = role_of(peer, auth)
    if security.token is not None and role != "admin":
        if not hmac.compare_digest(header.encode(), f"Bearer {security.token}".encode()):
            sentence = "no valid token came; send 'authorization: Bearer TOKEN' in the call's metadata"
            return Denial(status=grpc.StatusCode.UNAUTHENTICATED, sentence=sentence)
        role = TOKEN
    elif security.mutual and role == LOCAL:
        role = None
    accepted = METHOD_ROLES.get(method, _ADMIN)
    if role in accepted:
        return None
    shown = ", ".join(sorted(accepted & set(CERTIFICATE_ROLES)))
    sentence = f"{method} is for the roles {shown}; this connection has {role or 'none'}"
    if accepted == _ADMIN:
        sentence += "; use the server's Unix socket or a certificate with the role admin"
    return Denial(status=grpc.StatusCode.PERMISSION_DENIED, sentence=sentence)


class RoleInterceptor(grpc.aio.ServerInterceptor):
    """Stands in front of every method, health and reflection included."""

    def __init__(self, security: ServerSecurity) -> None:
        self._security = security

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        details: Any = handler_call_details
        metadata = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}

        async def check(context: Any) -> None:
            denial = find_denial(
                details.method,
                security=self._security,
                peer=context.peer(),
                auth=context.auth_context() or {},
                header=metadata.get(TOKEN_HEADER, ""),
            )
            if denial is not None:
                await context.abort(denial.status, denial.sentence)

        return _guarded(handler, check)


def _guarded(handler: Any, check: Callable[[Any], Awaitable[None]]) -> Any:
    """The same handler, behind a check of its context."""
    kind = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
    inner = getattr(handler, kind)
    if inspect.isasyncgenfunction(inner):

        async def generate(request: Any, context: Any) -> Any:
            await check(context)
            async for reply in inner(request, context):
                yield reply

        guarded: Any = generate
    else:

        async def call(request: Any, context: Any) -> Any:
            await check(context)
            return await inner(request, context)

        guarded = call
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(guarded, handler.request_deserializer, handler.response_serializer)


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"
