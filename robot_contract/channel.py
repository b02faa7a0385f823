"""How every program opens a gRPC channel: sizes, keep-alive, TLS, token. One place, so that all agree."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

MAX_MESSAGE_BYTES = 32 << 20
KEEPALIVE_SECONDS = 1.0  # a dead peer is noticed within two of these
TOKEN_HEADER = "authorization"


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Files that `policy-server make-certs` writes, in PEM form."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def in_folder(cls, folder: Path, role: str) -> "TlsFiles":
        return cls(ca=folder / "ca.pem", certificate=folder / f"{role}.pem", key=folder / f"{role}.key")


def _both_ends() -> list[tuple[str, int]]:
    """What client and server must agree on."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", int(KEEPALIVE_SECONDS * 1000)),
        ("grpc.keepalive_timeout_ms", int(KEEPALIVE_SECONDS * 1000)),
        ("grpc.http2.ping_timeout_ms", int(KEEPALIVE_SECONDS * 1000)),  # gRPC's own is a minute
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def channel_options() -> list[tuple[str, int]]:
    return [
        *_both_ends(),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2000),  # how long one attempt may take, TLS handshake included
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),  # a robot's traffic never goes through a proxy by accident
    ]


def server_options() -> list[tuple[str, int]]:
    return [
        *_both_ends(),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", int(KEEPALIVE_SECONDS * 500)),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share it
    ]


def is_loopback(address: str) -> bool:
    """Does `host:port` (or `unix:path`) stay on this machine?"""
    if address.startswith("unix:"):
        return True
    host = address.rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=tls.ca.read_bytes(),
        private_key=tls.key.read_bytes(),
        certificate_chain=tls.certificate.read_bytes(),
    )


def call_metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """Metadata that every call carries."""
    return () if token is None else ((TOKEN_HEADER, f"Bearer {token}"),)


def open_channel(address: str, tls: TlsFiles | None = None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=channel_options())
    return grpc.aio.secure_channel(address, _credentials(tls), options=channel_options())


def open_blocking_channel(address: str, tls: TlsFiles | None = None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address, options=channel_options())
    return grpc.secure_channel(address, _credentials(tls), options=channel_options())
