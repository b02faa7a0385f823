"""The web application: the page, its socket and the few requests that change something.

It speaks to the bridge and to nobody else, holds no state that matters, and may be killed at any time:
the bridge notices that the heartbeats are gone.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.staticfiles import StaticFiles

from operator_console.bridge_link import BridgeLink, said_by_bridge
from operator_console.control import Control
from operator_console.page_requests import EventRequest, StopRequest, TrialRequest
from operator_console.security import STOP_PATH, Guard, Sessions
from operator_console.sockets import serve_page
from operator_console.status_document import as_json
from robot_contract.errors import BridgeUnavailable, WireError
from robot_contract.messages import BridgeStatus, OperatorEvent

STATIC = Path(__file__).parent / "static"
PAGE_HEADER = "x-touchdown-page"


def refusal(status_code: int, sentence: str) -> JSONResponse:
    return JSONResponse({"sentence": sentence}, status_code=status_code)


def done(status: BridgeStatus) -> JSONResponse:
    return JSONResponse({"status": as_json(status)})


def create_app(link: BridgeLink, *, token: str, sessions: Sessions, hosts: Iterable[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        watching = asyncio.create_task(link.run())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await link.close()

    app = FastAPI(title="Touchdown operator console", openapi_url=None, lifespan=lifespan)
    app.add_middleware(Guard, token=token, sessions=sessions, hosts=hosts, clock=time.monotonic)
    control = Control()

    def without_control(request: Request) -> Response | None:
        if control.is_held_by(request.headers.get(PAGE_HEADER, "")):
            return None
        return refusal(403, "this page has no control of the robot; press Take control first")

    async def index() -> Response:
        return FileResponse(STATIC / "index.html")

    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    async def prepare(request: Request, trial: TrialRequest) -> Response:
        return without_control(request) or done(await link.client.prepare(trial.as_setup()))

    async def send(request: Request, event: EventRequest) -> Response:
        if event.action == "stop":
            return done(await link.stop(event.operator))
        return without_control(request) or done(
            await link.client.send(
                OperatorEvent(action=event.action, operator=event.operator, note=event.note)
            )
        )

    async def stop(request: Request) -> Response:
        """Also for a plain form, whose body is not JSON: whatever the body is, it stops."""
        try:
            operator = StopRequest.model_validate_json(await request.body()).operator
            from_form = False
        except ValidationError:
            operator, from_form = "", True
        status = await link.stop(operator)
        return RedirectResponse("/", status_code=303) if from_form else done(status)

    async def page(socket: WebSocket) -> None:
        await serve_page(socket, link, control, sessions)

    async def bridge_refused(_request: Request, error: Exception) -> Response:
        return refusal(409, said_by_bridge(error))

    async def wrong_request(_request: Request, error: Exception) -> Response:
        first: Any = error.errors()[0] if isinstance(error, RequestValidationError) else {}
        where = ".".join(str(part) for part in first.get("loc", ())[1:])
        return refusal(422, f"{where or 'the request'}: {first.get('msg', 'is not readable')}")

    app.add_exception_handler(BridgeUnavailable, bridge_refused)
    app.add_exception_handler(WireError, bridge_refused)
    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_api_route("/", index, methods=["GET"])
    app.add_api_route("/healthz", healthz, methods=["GET"])
    app.add_api_route("/api/prepare", prepare, methods=["POST"])
    app.add_api_route("/api/send", send, methods=["POST"])
    app.add_api_route(STOP_PATH, stop, methods=["POST"])
    app.add_api_websocket_route("/ws", page)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app
