"""A live page of the twin on the loopback address: pictures as MJPEG, and what the episode has come to.

Only for looking: nothing can be commanded through it.
"""

import html
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import simplejpeg

from robot_bridge.devices import Picture
from robot_contract.errors import SceneError

_BOUNDARY = "picture"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Touchdown twin</title>
<style>
  body {{ margin: 0; background: #16181b; color: #e8eaed; font: 15px/1.5 system-ui, sans-serif; }}
  header {{ padding: 12px 20px; display: flex; gap: 28px; align-items: baseline; flex-wrap: wrap; }}
  h1 {{ font-size: 17px; margin: 0; font-weight: 600; }}
  dl {{ display: flex; gap: 22px; margin: 0; }} dt {{ color: #9aa0a6; }} dd {{ margin: 0 0 0 6px; }}
  dl div {{ display: flex; }} img {{ display: block; width: 100%; max-width: 1440px; }}
</style></head>
<body><header><h1>{title}</h1><dl id="facts"></dl></header>
<img src="/stream" alt="the cell: spectator, external and wrist camera">
<script>
  async function tell() {{
    const facts = await (await fetch("/facts")).json();
    document.getElementById("facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {{
      const row = document.createElement("div");
      const term = document.createElement("dt"), detail = document.createElement("dd");
      term.textContent = name; detail.textContent = value; row.append(term, detail); return row;
    }}));
  }}
  setInterval(tell, 500); tell();
</script></body></html>
"""


class Viewer:
    """Serves the newest picture that was shown, to as many browsers as like to look."""

    def __init__(self, title: str, facts: Callable[[], dict[str, str]], port: int = 0) -> None:
        self._changed = threading.Condition()
        self._jpeg: bytes | None = None
        self._closed = False
        self._page = _PAGE.format(title=html.escape(title)).encode()
        self._facts = facts
        viewer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                viewer.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silent."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise SceneError(f"port {port} cannot be served: {error.strerror}; 0 takes a free one") from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="twin-viewer", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def show(self, picture: Picture) -> None:
        jpeg = simplejpeg.encode_jpeg(picture, quality=85, colorspace="RGB", colorsubsampling="420")
        with self._changed:
            self._jpeg = jpeg
            self._changed.notify_all()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        match request.path:
            case "/":
                _reply(request, "text/html; charset=utf-8", self._page)
            case "/facts":
                _reply(request, "application/json", json.dumps(self._facts()).encode())
            case "/stream":
                self._stream(request)
            case _:
                request.send_error(404)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, sent: bytes | None) -> bytes | None:
        """The first picture after `sent`; None when the viewer is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._jpeg is not sent)
            return None if self._closed else self._jpeg

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        request.send_header("Cache-Control", "no-store")
        request.end_headers()
        sent: bytes | None = None
        try:
            while True:
                sent = self._next(sent)
                if sent is None:
                    return
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(sent)}\r\n\r\n"
                request.wfile.write(head.encode() + sent + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the browser has gone


def _reply(request: BaseHTTPRequestHandler, kind: str, body: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
