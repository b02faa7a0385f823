"""`operator-console`: the page, and the unattended demo study."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from operator_console.app import create_app
from operator_console.bridge_link import BridgeLink
from operator_console.demo_study import DemoPlan, run_demo_study, study_document, summary
from operator_console.security import LOOPBACK_NAMES, Sessions
from operator_console.trial_run import TrialOutcome
from operator_console.web_server import web_server
from robot_contract.channel import TlsFiles
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable, StudyError


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """Where the robot bridge is, and how it knows this console."""

    bridge: str = "127.0.0.1:50052"
    """host:port of the bridge's operator service."""
    tls: Path | None = None
    """Folder with ca.pem, console.pem and console.key, as `policy-server make-certs` writes it. Needed when
    the bridge is not on this machine."""

    def client(self) -> OperatorClient:
        if self.tls is None:
            return OperatorClient(self.bridge)
        files = TlsFiles.in_folder(self.tls, "console")
        require_files(files.ca, files.certificate, files.key)
        return OperatorClient(self.bridge, tls=files)


def require_files(*paths: Path | None) -> None:
    missing = [str(path) for path in paths if path is not None and not path.is_file()]
    if missing:
        raise SystemExit(f"no such file: {', '.join(missing)}.")


@dataclass(frozen=True, kw_only=True)
class Serve(Bridge):
    """Serve the console's page until Ctrl-C.

    The printed link has a token in it and opens the page; keep it to yourself. The page's stop and hold key
    are software and not safety rated: keep the robot's own emergency stop within reach.
    """

    port: int = 8080
    """TCP port of the page; 0 takes a free one."""
    lan: bool = False
    """Listen on all interfaces instead of this machine only. Needs --certificate and --key."""
    allow_host: tuple[str, ...] = ()
    """Further host names under which the page may be opened, such as console.lab."""
    certificate: Path | None = None
    """HTTPS certificate, PEM."""
    key: Path | None = None
    """HTTPS private key, PEM."""
    token: str = ""
    """The token in the link, at least 16 characters; empty makes a new one at every start."""


@dataclass(frozen=True, kw_only=True)
class DemoStudy(Bridge):
    """Run a few short trials on the twin, unattended, and print what they say.

    Only on a simulated robot with `hold_to_run: false` in its rig file. Exits 0 when every trial ran to its
    end, whether or not the policy succeeded, and 1 when the system failed in one.
    """

    plan: Annotated[DemoPlan, tyro.conf.OmitArgPrefixes]
    json: Path | None = None
    """Also write the outcomes to this file."""


def listening_socket(options: Serve) -> socket.socket:
    host = "0.0.0.0" if options.lan else "127.0.0.1"
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, options.port))
    except OSError as error:
        listener.close()
        raise SystemExit(
            f"port {options.port} cannot be used: {error.strerror}. Choose another with --port, or --port 0."
        ) from error
    return listener


def serve(options: Serve) -> None:
    secure = options.certificate is not None and options.key is not None
    if (options.certificate is None) != (options.key is None):
        raise SystemExit("--certificate and --key belong together; one of them is missing.")
    if options.lan and not secure:
        raise SystemExit("--lan needs --certificate and --key: the page controls a robot.")
    if options.token and len(options.token) < 16:
        raise SystemExit(f"--token has {len(options.token)} characters, expected at least 16.")
    require_files(options.certificate, options.key)
    token = options.token or secrets.token_urlsafe(24)
    listener = listening_socket(options)
    port = int(listener.getsockname()[1])
    sessions = Sessions(key=secrets.token_bytes(32), cookie_name=f"touchdown_{port}", secure=secure)
    hosts = {*LOOPBACK_NAMES, *options.allow_host, *({socket.gethostname()} if options.lan else ())}
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options, listener, token, sessions, hosts))


async def _serve(
    options: Serve, listener: socket.socket, token: str, sessions: Sessions, hosts: set[str]
) -> None:
    link = BridgeLink(options.client(), options.client())
    app = create_app(link, token=token, sessions=sessions, hosts=hosts)
    server = web_server(app, certificate=options.certificate, key=options.key)
    scheme = "https" if sessions.secure else "http"
    name = socket.gethostname() if options.lan else "127.0.0.1"
    print(f"console: {scheme}://{name}:{listener.getsockname()[1]}/?token={token}", flush=True)
    await server.serve(sockets=[listener])


def demo_study(options: DemoStudy) -> int:
    try:
        outcomes = asyncio.run(_demo_study(options))
    except (BridgeUnavailable, StudyError) as error:
        print(f"The study could not run: {error}", file=sys.stderr)
        return 1
    print(summary(outcomes))
    if options.json is not None:
        options.json.write_text(json.dumps(study_document(outcomes), indent=2) + "\n")
    return 1 if any(outcome.result == "system_fault" for outcome in outcomes) else 0


async def _demo_study(options: DemoStudy) -> list[TrialOutcome]:
    async with options.client() as client:
        return await run_demo_study(client, options.plan, say=lambda line: print(line, flush=True))


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = tyro.cli(
        Annotated[Serve, tyro.conf.subcommand("serve")]
        | Annotated[DemoStudy, tyro.conf.subcommand("demo-study")],
        prog="operator-console",
        description=__doc__,
    )
    if isinstance(options, Serve):
        serve(options)
    else:
        sys.exit(demo_study(options))


if __name__ == "__main__":
    main()
