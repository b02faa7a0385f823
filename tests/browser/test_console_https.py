"""The page over HTTPS, as it is served to other machines."""

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """(certificate, key) for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "page.pem", tmp_path / "page.key"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_cookies_are_secure_and_only_the_https_origin_gets_a_socket(
    make_stage: Callable[..., Any], certificate: tuple[Path, Path]
) -> None:
    stage = make_stage(certificate=certificate[0], key=certificate[1])
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(verify=trusted) as client:
        response = client.get(stage.link)
        assert response.status_code == 303
        assert all("Secure" in cookie for cookie in response.headers.get_list("set-cookie"))
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    def opening(origin: str) -> Any:
        return connect(
            f"wss://127.0.0.1:{stage.port}/ws",
            ssl=trusted,
            origin=origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie},
            proxy=None,
        )

    with opening(stage.url):
        pass
    with pytest.raises(InvalidStatus, match="403"), opening(f"http://127.0.0.1:{stage.port}"):
        pass
