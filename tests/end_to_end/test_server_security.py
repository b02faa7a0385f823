"""Who gets in: certificates, roles and tokens against a real server process."""

import datetime
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from policy_server.certificates import make_certificates
from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, stand_in_contract
from robot_contract import wire_pb2 as pb
from robot_contract.channel import TlsFiles, open_blocking_channel
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import PolicyUnavailable
from robot_contract.wire_pb2_grpc import AdminServiceStub

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    finished = subprocess.run(
        [sys.executable, "-m", "policy_server", "make-certs", str(folder), "--host", "gpu.lab", "10.0.0.7"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ServerProcess]:
    with ServerProcess(["--stand-in", "--tls", str(certificates)]) as process:
        yield process


def get_contract(address: str, tls: TlsFiles | None = None, token: str | None = None) -> str:
    with BlockingPolicyClient(address, tls=tls, token=token) as client:
        return client.get_contract("stand-in", timeout=3.0).name


def predict(address: str, tls: TlsFiles) -> int:
    with BlockingPolicyClient(address, tls=tls) as client:
        return len(client.predict(blank_observation(stand_in_contract(StandInOptions()))).actions)


def admin_status(address: str, tls: TlsFiles | None) -> str:
    with open_blocking_channel(address, tls) as channel:
        return AdminServiceStub(channel).Status(pb.StatusRequest(), timeout=3.0).policies[0].name


def test_certificates_carry_roles_hosts_and_a_short_life(certificates: Path) -> None:
    for role in ("policy", "bridge", "console", "admin"):
        certificate = x509.load_pem_x509_certificate((certificates / f"{role}.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:touchdown:role:{role}"]
        assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "gpu.lab"}
        assert "10.0.0.7" in map(str, names.get_values_for_type(x509.IPAddress))
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life < datetime.timedelta(days=31)
        assert (certificates / f"{role}.key").stat().st_mode & 0o077 == 0
    assert (certificates / "ca.key").stat().st_mode & 0o077 == 0


def test_the_right_roles_get_in(server: ServerProcess, certificates: Path) -> None:
    for role in ("policy", "bridge", "console", "admin"):
        assert get_contract(server.address, TlsFiles.in_folder(certificates, role)) == "stand-in"
    assert predict(server.address, TlsFiles.in_folder(certificates, "bridge")) == 8
    assert admin_status(server.address, TlsFiles.in_folder(certificates, "admin")) == "stand-in"


def test_a_role_gets_no_further_than_its_methods(server: ServerProcess, certificates: Path) -> None:
    with pytest.raises(
        PolicyUnavailable, match=r"PERMISSION_DENIED: .*Predict is for the roles admin, bridge"
    ):
        predict(server.address, TlsFiles.in_folder(certificates, "console"))
    with pytest.raises(grpc.RpcError) as caught:
        admin_status(server.address, TlsFiles.in_folder(certificates, "bridge"))
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED  # pyright: ignore[reportAttributeAccessIssue]
    assert "Unix socket or a certificate with the role admin" in str(caught.value)


def test_a_stream_of_the_wrong_role_is_refused(server: ServerProcess, certificates: Path) -> None:
    with BlockingPolicyClient(server.address, tls=TlsFiles.in_folder(certificates, "console")) as client:
        stream = client.open_stream()
        with pytest.raises(PolicyUnavailable, match=r"PERMISSION_DENIED: .*Stream"):
            stream.receive(5)


def make_foreign(folder: Path, *, now: datetime.datetime) -> Path:
    make_certificates(folder, hosts=(), days=1.0, now=now)
    return folder


def test_strangers_do_not_finish_the_handshake(
    server: ServerProcess, certificates: Path, tmp_path: Path
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    foreign = make_foreign(tmp_path / "foreign", now=now)
    own_ca = certificates / "ca.pem"
    expired = tmp_path / "expired"
    expired.mkdir()
    for name in ("ca.pem", "ca.key"):
        (expired / name).write_bytes((certificates / name).read_bytes())
    make_certificates(expired, hosts=(), days=1.0, now=now - datetime.timedelta(days=3))
    strangers = {
        "certificate of another authority": TlsFiles(
            ca=own_ca, certificate=foreign / "bridge.pem", key=foreign / "bridge.key"
        ),
        "expired certificate": TlsFiles.in_folder(expired, "bridge"),
        "trusts another authority": TlsFiles(
            ca=foreign / "ca.pem", certificate=certificates / "bridge.pem", key=certificates / "bridge.key"
        ),
        "no TLS at all": None,
    }
    for who, tls in strangers.items():
        with pytest.raises(PolicyUnavailable, match=r"UNAVAILABLE|DEADLINE_EXCEEDED"):
            pytest.fail(f"{who} got in: {get_contract(server.address, tls)}")
    assert get_contract(server.address, TlsFiles.in_folder(certificates, "bridge")) == "stand-in"


def test_a_token_instead_of_client_certificates(certificates: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    arguments = ["--stand-in", "--tls", str(certificates), "--token-file", str(file)]
    tls = TlsFiles.in_folder(certificates, "bridge")
    with ServerProcess(arguments) as server:
        assert get_contract(server.address, tls, TOKEN) == "stand-in"
        for wrong in (None, "another-token-here", TOKEN[:-1]):
            with pytest.raises(PolicyUnavailable, match="UNAUTHENTICATED: no valid token came"):
                get_contract(server.address, tls, wrong)
        with BlockingPolicyClient(server.address, tls=tls) as client:
            stream = client.open_stream()
            with pytest.raises(PolicyUnavailable, match="UNAUTHENTICATED"):
                stream.receive(5)


def test_loopback_is_no_admin_but_the_private_socket_is(tmp_path: Path) -> None:
    socket = tmp_path / "private" / "admin.sock"
    with ServerProcess(["--stand-in", "--admin-socket", str(socket)]) as server:
        with pytest.raises(grpc.RpcError) as caught:
            admin_status(server.address, None)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED  # pyright: ignore[reportAttributeAccessIssue]
        assert admin_status(f"unix:{socket}", None) == "stand-in"
        assert socket.parent.stat().st_mode & 0o077 == 0
    assert not socket.exists()


def test_an_open_folder_for_the_admin_socket_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    with pytest.raises(RuntimeError, match="only this user can enter"):
        ServerProcess(["--stand-in", "--admin-socket", str(folder / "admin.sock")])


def test_renewing_keeps_the_authority(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    make_certificates(tmp_path, hosts=(), days=1.0, now=now)
    authority, first = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "bridge.pem").read_bytes()
    make_certificates(tmp_path, hosts=(), days=1.0, now=now)
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "bridge.pem").read_bytes() != first
