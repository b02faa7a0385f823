"""The table of roles and methods, without a network."""

from pathlib import Path

import pytest

from policy_server.security import METHOD_ROLES, ROLE_PREFIX, ServerSecurity, find_denial, read_token, role_of
from robot_contract.channel import TlsFiles
from robot_contract.wire_pb2 import DESCRIPTOR

NONE = Path("none.pem")
MUTUAL = ServerSecurity(tls=TlsFiles(ca=NONE, certificate=NONE, key=NONE))
PEER = "ipv4:10.0.0.9:1234"


def names(*values: str) -> dict[str, list[bytes]]:
    return {"x509_subject_alternative_name": [value.encode() for value in values]}


@pytest.mark.parametrize(
    ("peer", "auth", "role"),
    [
        ("unix:/run/x.sock", {}, "admin"),
        (PEER, {}, "local"),
        (PEER, names(ROLE_PREFIX + "bridge", "localhost"), "bridge"),
        (PEER, names("localhost"), None),
        (PEER, names(ROLE_PREFIX + "root"), None),
        (PEER, names(ROLE_PREFIX + "bridge", ROLE_PREFIX + "admin"), None),
    ],
)
def test_a_role_is_read_from_the_connection(
    peer: str, auth: dict[str, list[bytes]], role: str | None
) -> None:
    assert role_of(peer, auth) == role


@pytest.mark.parametrize("auth", [{}, names("localhost"), names(ROLE_PREFIX + "root")])
@pytest.mark.parametrize("method", METHOD_ROLES)
def test_without_a_role_mutual_tls_opens_nothing(method: str, auth: dict[str, list[bytes]]) -> None:
    assert find_denial(method, security=MUTUAL, peer=PEER, auth=auth, header="") is not None


def test_every_method_of_the_server_has_roles_and_unknown_ones_are_for_the_admin() -> None:
    for service in ("PolicyService", "AdminService"):
        for method in DESCRIPTOR.services_by_name[service].methods:
            assert f"/touchdown.v1.{service}/{method.name}" in METHOD_ROLES
    denial = find_denial("/x.Y/Z", security=MUTUAL, peer=PEER, auth=names(ROLE_PREFIX + "bridge"), header="")
    assert denial is not None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.9:1", False),
        ("gpu.lab:1", False),
    ],
)
def test_without_tls_only_loopback_is_listened_on(address: str, allowed: bool) -> None:
    for security in (ServerSecurity(), ServerSecurity(token="x" * 16)):
        assert (security.problem_with(address) == "") == allowed
    assert MUTUAL.problem_with(address) == ""


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("short\n")
    with pytest.raises(ValueError, match="5 characters, expected at least 16"):
        read_token(file)
