"""Who may command a bridge that listens with certificates, and who may stop it."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from policy_server.certificates import make_certificates
from robot_bridge.bridge import Bridge
from robot_bridge.drivers.mock_cell import mock_cell
from robot_bridge.operator_server import OperatorServer
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.channel import TlsFiles
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable, RigError
from robot_contract.messages import OperatorEvent

RIG = load_rig(find_rig("mock"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)
    make_certificates(folder, hosts=["127.0.0.1"], days=1.0, now=now)
    return folder


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    contract = rehearsal_contract(RIG)
    made = Bridge(RIG, mock_cell(RIG).devices(), RehearsalPolicy(contract, small_circle(contract)))
    made.start()
    yield made
    made.close()


@pytest.fixture
def secured(bridge: Bridge, certificates: Path) -> Iterator[str]:
    server = OperatorServer(bridge, "127.0.0.1:0", TlsFiles.in_folder(certificates, "bridge"))
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.close()


def talk(address: str, tls: TlsFiles | None, speak: Callable[[OperatorClient], Awaitable[object]]) -> object:
    async def run() -> object:
        async with OperatorClient(address, tls=tls) as client:
            return await speak(client)

    return asyncio.run(run())


def event(action: str) -> OperatorEvent:
    return OperatorEvent(action=action, operator="ann")  # type: ignore[arg-type]


async def first_mode(client: OperatorClient) -> str:
    async for status in client.watch():
        return status.mode
    raise AssertionError("the watch ended")


def test_console_commands(secured: str, certificates: Path) -> None:
    tls = TlsFiles.in_folder(certificates, "console")
    assert talk(secured, tls, lambda client: client.send(event("arm"))).mode == "ARMED"  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", ["policy", "bridge"])
def test_other_roles_may_watch_and_stop_and_nothing_else(secured: str, certificates: Path, role: str) -> None:
    tls = TlsFiles.in_folder(certificates, role)
    with pytest.raises(BridgeUnavailable, match=r"PERMISSION_DENIED.*commands are for the role console"):
        talk(secured, tls, lambda client: client.send(event("arm")))

    async def hold(client: OperatorClient) -> None:
        async with client.hold_to_run() as stream:
            await stream.receive()

    with pytest.raises(BridgeUnavailable, match="PERMISSION_DENIED"):
        talk(secured, tls, hold)
    assert talk(secured, tls, first_mode) == "IDLE"
    assert talk(secured, tls, lambda client: client.send(event("stop"))).mode == "FAULT"  # type: ignore[attr-defined]


def test_without_a_certificate_nobody_gets_in(secured: str) -> None:
    with pytest.raises(BridgeUnavailable, match="UNAVAILABLE"):
        talk(secured, None, lambda client: client.send(event("stop"), timeout=3.0))


def test_certificate_of_another_authority_does_not_count(secured: str, tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["127.0.0.1"], days=1.0, now=datetime.datetime.now(datetime.UTC))
    with pytest.raises(BridgeUnavailable, match="UNAVAILABLE"):
        talk(
            secured,
            TlsFiles.in_folder(tmp_path, "console"),
            lambda client: client.send(event("arm"), timeout=3.0),
        )


def test_off_loopback_needs_certificates(bridge: Bridge) -> None:
    with pytest.raises(RigError, match="off loopback certificates are needed"):
        OperatorServer(bridge, "0.0.0.0:0", None)


def test_malformed_requests_get_a_sentence(bridge: Bridge) -> None:
    server = OperatorServer(bridge, "127.0.0.1:0", None)
    server.start()
    address = f"127.0.0.1:{server.port}"

    async def images(client: OperatorClient) -> None:
        async for _ in client.images(("roof",)):
            pass

    try:
        with pytest.raises(BridgeUnavailable, match="INVALID_ARGUMENT: no camera 'roof'"):
            talk(address, None, images)
        with pytest.raises(BridgeUnavailable, match="FAILED_PRECONDITION: start is not possible in IDLE"):
            talk(address, None, lambda client: client.send(event("start")))
    finally:
        server.close()
