"""`robot-bridge demo`: the whole chain on one machine, no robot and no GPU.

Starts a policy server, the bridge on the digital twin and the console; runs a short study of three trials
and prints its table; on a terminal it then leaves the console up until Ctrl-C.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from robot_bridge import system
from robot_bridge.system import Ports, Process
from robot_contract.channel import open_blocking_channel

TERMINATE_SECONDS = 8.0
SHIPPED = Path(__file__).resolve().parents[1] / "checkpoints" / "tiny-put-on"  # in a checkout


class DemoError(RuntimeError):
    pass


def is_serving(address: str) -> bool:
    """Does the gRPC server at `address` call itself healthy?"""
    with open_blocking_channel(address) as channel:
        try:
            health: Any = health_pb2_grpc.HealthStub(channel)
            reply = health.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
        except grpc.RpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def is_answering(url: str) -> bool:
    """Does a web server answer at `url`, with whatever status?"""
    try:
        with urllib.request.urlopen(url, timeout=2.0):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def check_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise DemoError(
                f"port {port} for the {name} is in use; end what uses it, or choose another with"
                f" `robot-bridge demo --{name}-port PORT`"
            ) from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Interruptions:
    """SIGINT and SIGTERM as a question that the waiting loops ask, so that none is lost in a library."""

    def __init__(self) -> None:
        self._came = threading.Event()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, lambda *_: self._came.set())
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Sleep; an interruption ends the sleep and raises `KeyboardInterrupt`."""
        if self._came.wait(seconds):
            raise KeyboardInterrupt


@contextmanager
def running(
    process: Process, logs: Path, is_ready: Callable[[], bool], interruptions: Interruptions
) -> Generator[subprocess.Popen[bytes], None, None]:
    """Start a process, wait until it answers, end it in the end."""
    log = logs / f"{process.name}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            process.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + process.ready_seconds
        while not is_ready():
            check_alive(process.name, child, logs)
            if not time.monotonic() < deadline:
                raise DemoError(
                    f"{process.name} did not answer within {process.ready_seconds:g} s; see {log}"
                )
            interruptions.wait(0.2)
        yield child
    finally:
        end(child)


def check_alive(name: str, child: subprocess.Popen[bytes], logs: Path) -> None:
    if child.poll() is not None:
        log = logs / f"{name}.log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise DemoError(f"{name} ended with status {child.returncode}; the end of {log}:\n{tail}")


def end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole chain on this machine, no robot and no GPU: policy server, bridge on the twin, console.

    Runs a short study and prints its table; on a terminal the console then stays up until Ctrl-C.
    """

    once: bool = False
    """Exit after the study, also on a terminal."""
    checkpoint: Path | None = None
    """A checkpoint folder; without one the small policy that a checkout ships, trained in ManiSkill and never
    on the twin. Where that is missing a policy with random weights is made, which solves nothing."""
    trials: int = 3
    """How many trials the study has."""
    rig: str = ""
    """twin or twin_stepped; by default `twin` (real time) on a terminal, where somebody watches, and
    `twin_stepped` (simulated time, the same on a slow or busy machine) elsewhere."""
    policy_port: int = 50051
    """Port of the policy server; 0 takes a free one."""
    bridge_port: int = 50052
    """Port of the bridge; 0 takes a free one."""
    console_port: int = 8080
    """Port of the console; 0 takes a free one."""
    logs: Path = Path("runs/demo")
    """Folder for logs and recordings."""


def run_demo(options: Demo) -> None:
    ports = Ports(
        policy=options.policy_port or free_port(),
        bridge=options.bridge_port or free_port(),
        console=options.console_port or free_port(),
    )
    try:
        with Interruptions() as interruptions, ExitStack() as stack:
            _run(stack, options, ports, interruptions)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        print("demo: ended")


def _run(stack: ExitStack, options: Demo, ports: Ports, interruptions: Interruptions) -> None:
    logs = options.logs
    stays = not options.once and sys.stdin.isatty()
    for name in ("policy", "bridge", "console"):
        check_free(name, getattr(ports, name))
    logs.mkdir(parents=True, exist_ok=True)
    checkpoint = options.checkpoint
    if checkpoint is None and SHIPPED.is_dir():
        checkpoint = SHIPPED
        print(f"demo: serving checkpoints/{SHIPPED.name}, trained in ManiSkill and never on this twin")
    if checkpoint is None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="touchdown-")))
        checkpoint = folder / "put-on"
        print("demo: making a small policy with random weights (it moves the arm, it solves nothing)")
        _call([sys.executable, "-m", "policy_server", "make-random", str(checkpoint)], interruptions)

    policy_address, bridge_address = f"127.0.0.1:{ports.policy}", f"127.0.0.1:{ports.bridge}"
    url = f"http://127.0.0.1:{ports.console}/"
    children: dict[str, subprocess.Popen[bytes]] = {}

    def start(process: Process, is_ready: Callable[[], bool]) -> None:
        print(f"demo: starting {process.name} ...", flush=True)
        children[process.name] = stack.enter_context(running(process, logs, is_ready, interruptions))

    start(system.policy_server(checkpoint=checkpoint, port=ports.policy), lambda: is_serving(policy_address))
    start(
        system.bridge(
            rig=options.rig or ("twin" if stays else "twin_stepped"),
            port=ports.bridge,
            policy_server=policy_address,
            recordings=logs / "recordings",
        ),
        lambda: is_serving(bridge_address),
    )
    start(system.console(port=ports.console, bridge=bridge_address), lambda: is_answering(url))
    link = _link(logs / "operator-console.log") or url
    print(f"demo: the console is at {link}", flush=True)

    _call(
        [
            *(sys.executable, "-m", "operator_console", "demo-study"),
            *("--bridge", bridge_address, "--trials", str(options.trials), "--policy", _policy(checkpoint)),
        ],
        interruptions,
    )
    for name, child in children.items():
        check_alive(name, child, logs)
    if stays:
        print(f"demo: the console stays up at {link}; Ctrl-C ends everything", flush=True)
        while True:
            interruptions.wait(0.5)
            for name, child in children.items():
                check_alive(name, child, logs)


def _policy(checkpoint: Path) -> str:
    """The name under which a checkpoint folder is served."""
    try:
        return str(json.loads((checkpoint / "contract.json").read_text())["name"])
    except (OSError, ValueError, KeyError) as error:
        raise DemoError(f"{checkpoint} is not a checkpoint folder: contract.json: {error}") from error


def _link(log: Path) -> str | None:
    """The link that the console printed; its token lets a browser in."""
    found = re.search(r"http://\S+", log.read_text(errors="replace"))
    return None if found is None else found.group()


def _call(command: list[str], interruptions: Interruptions) -> None:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while child.poll() is None:
            interruptions.wait(0.1)
    finally:
        end(child)
    if child.returncode != 0:
        raise DemoError(f"`{' '.join(command[2:])}` ended with status {child.returncode}")
