"""How the page is served: uvicorn with the limits and habits that the console needs."""

from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

LONGEST_SOCKET_MESSAGE = 4096  # [bytes] from a page: heartbeats and confirmations are far shorter
PING_PERIOD = 2.0  # [s]
PING_PATIENCE = 4.0  # [s]


def web_server(app: ASGIApp, *, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_max_size=LONGEST_SOCKET_MESSAGE,
            ws_ping_interval=PING_PERIOD,
            ws_ping_timeout=PING_PATIENCE,
            access_log=False,  # it would write the token down
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )
