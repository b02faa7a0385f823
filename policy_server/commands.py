"""The subcommands of `policy-server` and what each of their options means; `__main__` runs them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from policy_server.logs import LogFormat

DEFAULT_PORT = 50051


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve policies from checkpoint folders (this is the default command).

    Give each as FOLDER or NAME=FOLDER. The server listens on this machine only, unless it has certificates.
    SIGTERM answers what waits and exits; SIGHUP loads every folder again.
    """

    checkpoints: tuple[str, ...] = ()
    """[NAME=]FOLDER ...; the option's name may be left out right behind `serve`."""
    address: str = f"127.0.0.1:{DEFAULT_PORT}"
    """HOST:PORT to listen on; port 0 takes a free one. Other machines can connect only with --tls."""
    stand_in: bool = False
    """Serve a timed stand-in instead of a model: no torch, no robot skill. The folders are then JSON files
    with fixed_ms, per_sample_ms, mark_mm; none means 8 + 2 B ms under the name stand-in."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    dtype: Literal["", "fp32", "fp16", "bf16"] = ""
    """Number format of the weights; empty means as stored."""
    tls: Path | None = None
    """Folder from `policy-server make-certs`; clients then need a certificate with a role."""
    token_file: Path | None = None
    """File with a token that clients must send; with --tls it replaces client certificates."""
    max_batch: int = 16
    """Observations in one batch."""
    max_waiting: int = 256
    """Observations waiting per policy; more are refused."""
    max_sessions: int = 128
    """Robots connected at once."""
    max_rate_hz: float = 200.0
    """Observations of one robot per second; more are refused."""
    idle_seconds: float = 3600.0
    """A stream on which nothing comes for this long is ended."""
    crowded_idle_seconds: float = 30.0
    """The same, when all places are taken and somebody else wants one."""
    decode_threads: int = 2
    """Threads that decode pictures while a batch runs."""
    admin_socket: Path | None = None
    """Unix socket for reload and status; by default in a private folder named after the user and the port."""
    metrics_port: int | None = None
    """Prometheus page on this loopback port; 0 takes a free one."""
    openpi_address: str = ""
    """HOST:PORT of a second front end that speaks openpi's websocket protocol."""
    otlp_endpoint: str = ""
    """Send one OpenTelemetry trace per answer to this OTLP address (extra `telemetry`)."""
    log_format: LogFormat = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, kw_only=True)
class _Connection:
    server: str = ""
    """HOST:PORT with --tls (role admin), or unix:PATH; by default the admin socket of --port."""
    port: int = DEFAULT_PORT
    """Port of a server on this machine."""
    tls: Path | None = None
    """Folder with ca.pem, admin.pem and admin.key."""


@dataclass(frozen=True, kw_only=True)
class Reload(_Connection):
    """Change a running server to another checkpoint folder without dropping a session."""

    name: Annotated[str, tyro.conf.Positional]
    """The policy, as the server calls it."""
    path: Annotated[str, tyro.conf.Positional] = ""
    """Checkpoint folder on the server's machine; by default the present one again."""


@dataclass(frozen=True, kw_only=True)
class Status(_Connection):
    """Show what a running server serves, to whom, and what it refused."""

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True, kw_only=True)
class MakeCerts:
    """Make a certificate authority and a short-lived certificate per role: policy, bridge, console, admin.

    Copy ca.pem and the two files of one role to the machine that plays it; ca.key stays where it is safe.
    Run it again to renew the role certificates.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    host: tuple[str, ...] = ()
    """Names and addresses under which servers are reached, beside localhost."""
    days: float = 30.0
    """How long the role certificates are valid."""


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show what a checkpoint folder promises and demands, after checking all of it."""

    folder: Annotated[Path, tyro.conf.Positional]
    json: bool = False
    """Print contract.json instead of a table."""


@dataclass(frozen=True, kw_only=True)
class MakeRandom:
    """Write a whole, valid checkpoint folder with random weights: for trying the chain, not for a robot."""

    folder: Annotated[Path, tyro.conf.Positional]
    name: str = "random"
    seed: int = 0
    wrist_camera: bool = False
    """Two cameras instead of one."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Turn a published OpenVLA or OpenVLA-OFT folder into a checkpoint folder (convert --help says how)."""


Command = (
    Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Reload, tyro.conf.subcommand("reload")]
    | Annotated[Status, tyro.conf.subcommand("status")]
    | Annotated[MakeCerts, tyro.conf.subcommand("make-certs")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[MakeRandom, tyro.conf.subcommand("make-random")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
)
NAMES = ("serve", "reload", "status", "make-certs", "inspect", "make-random", "convert")
