"""Who may talk to the console: host allow-list, one token, session cookie, CSRF header, response headers.

One ASGI wrapper looks at every request and every WebSocket before the application sees it.
"""

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-touchdown-csrf"
STOP_PATH = "/api/stop"
OPEN_PATHS = ("/healthz",)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
WRONG_TOKENS_PER_MINUTE = 20
RESPONSE_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
NO_SESSION_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Touchdown</title>"
    "<p>This page opens with the link that <code>operator-console serve</code> printed in its terminal."
)


def own_host(host_header: str) -> str:
    """The name in a Host header: no port, no brackets, lower case; empty when it cannot be read."""
    try:
        return (urlsplit(f"//{host_header}").hostname or "").lower()
    except ValueError:
        return ""


def same_origin(origin: str, host_header: str, *, secure: bool) -> bool:
    """Does an Origin header name exactly the scheme, host and port that this request came to?"""
    return origin.lower() == f"{'https' if secure else 'http'}://{host_header}".lower()


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Session and CSRF values, both made from one key, so that nothing has to be remembered."""

    key: bytes
    cookie_name: str  # has the port in it: two consoles on one host do not overwrite each other
    secure: bool

    def open(self) -> str:
        name = secrets.token_urlsafe(24)
        return f"{name}.{self._signature('session', name)}"

    def is_valid(self, session: str) -> bool:
        name, _, signature = session.partition(".")
        return hmac.compare_digest(signature.encode(), self._signature("session", name).encode())

    def csrf(self, session: str) -> str:
        return self._signature("csrf", session)

    def csrf_matches(self, session: str, csrf: str) -> bool:
        return hmac.compare_digest(csrf.encode(), self.csrf(session).encode())

    def from_headers(self, headers: Headers) -> str | None:
        """The valid session of a request, or None."""
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return None
        return morsel.value if morsel is not None and self.is_valid(morsel.value) else None

    def give(self, response: Response, session: str) -> None:
        """Set the session cookie, which no script reads, and the CSRF value, which ours does."""
        response.set_cookie(
            self.cookie_name, session, httponly=True, samesite="strict", secure=self.secure, path="/"
        )
        response.set_cookie(
            f"{self.cookie_name}_csrf",
            self.csrf(session),
            httponly=False,
            samesite="strict",
            secure=self.secure,
            path="/",
        )

    def _signature(self, purpose: str, value: str) -> str:
        return hmac.new(self.key, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()


class Guard:
    """The wrapper around the application: what it does not let through, the application never sees."""

    def __init__(
        self,
        application: ASGIApp,
        *,
        token: str,
        sessions: Sessions,
        hosts: Iterable[str],
        clock: Callable[[], float],
    ) -> None:
        self._application = application
        self._token = token
        self._sessions = sessions
        self._hosts = frozenset(host.lower() for host in hosts)
        self._clock = clock
        self._wrong_tokens: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] == "websocket":
            if self._socket_problem(headers) is None:
                await self._application(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": ""})  # answered with 403
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(RESPONSE_HEADERS)
            await send(message)

        refusal = self._refusal(scope, headers)
        await (refusal or self._application)(scope, receive, send_with_headers)

    def _socket_problem(self, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if own_host(host) not in self._hosts:
            return "host"
        if not same_origin(headers.get("origin", ""), host, secure=self._sessions.secure):
            return "origin"
        return None if self._sessions.from_headers(headers) else "session"

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that must not reach the application, or None."""
        host = headers.get("host", "")
        if own_host(host) not in self._hosts:
            return PlainTextResponse(
                f"This console does not answer to the host name {own_host(host)!r};"
                " start it with --allow-host NAME to add one.\n",
                status_code=421,
            )
        path: str = scope["path"]
        if path in OPEN_PATHS:
            return None
        token = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
        if token is not None and path == "/" and scope["method"] == "GET":
            return self._exchange(token[0])
        session = self._sessions.from_headers(headers)
        if session is None:
            return HTMLResponse(NO_SESSION_PAGE, status_code=401)
        if scope["method"] not in ("GET", "HEAD"):
            return self._write_problem(path, session, headers, host)
        return None

    def _write_problem(self, path: str, session: str, headers: Headers, host: str) -> Response | None:
        origin = headers.get("origin")
        # A form of a page with the policy no-referrer has the origin "null", and it cannot set a header;
        # a plain form must be able to stop, so the session cookie (SameSite=Strict) is enough for that.
        if path == STOP_PATH and origin in (None, "null"):
            return None
        if origin is not None and not same_origin(origin, host, secure=self._sessions.secure):
            return PlainTextResponse(f"The request comes from another origin: {origin!r}.\n", status_code=403)
        if path == STOP_PATH:
            return None
        if not self._sessions.csrf_matches(session, headers.get(CSRF_HEADER, "")):
            return PlainTextResponse(f"The header {CSRF_HEADER} is missing or wrong.\n", status_code=403)
        return None

    def _exchange(self, token: str) -> Response:
        """Turn the token of the printed link into a session, and take it out of the address."""
        now = self._clock()
        while self._wrong_tokens and not now - self._wrong_tokens[0] < 60.0:
            self._wrong_tokens.popleft()
        if len(self._wrong_tokens) >= WRONG_TOKENS_PER_MINUTE:
            return PlainTextResponse("Too many wrong tokens: wait a minute.\n", status_code=429)
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            self._wrong_tokens.append(now)
            return HTMLResponse(NO_SESSION_PAGE, status_code=401)
        response = RedirectResponse("/", status_code=303)
        self._sessions.give(response, self._sessions.open())
        return response
