"""openpi's protocol, spoken by a client that is written down here independently of the server's code."""

import datetime
import io
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from policy_server.certificates import make_certificates
from policy_server.openpi_wire import pack, unpack
from policy_server.server_process import ServerProcess
from policy_server.stand_in import ECHO
from robot_contract.errors import WireError

TOKEN = "an-api-key-of-a-lab"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    token = tmp_path_factory.mktemp("openpi") / "token"
    token.write_text(TOKEN)
    with ServerProcess(
        ["--stand-in", "--openpi-address", "127.0.0.1:0", "--token-file", str(token)]
    ) as process:
        yield process
        assert "Traceback" not in process.log


def dial(server: ServerProcess, path: str = "", key: str | None = TOKEN, **more: Any) -> ClientConnection:
    headers = {} if key is None else {"Authorization": f"Api-Key {key}"}
    return connect(
        f"ws://{server.pages['openpi']}/{path}",
        compression=None,
        max_size=None,
        additional_headers=headers,
        proxy=None,
        **more,
    )


def openpi_pack(document: object) -> bytes:
    """As openpi's msgpack_numpy packs."""

    def array(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return {
                b"__ndarray__": True,
                b"data": value.tobytes(),
                b"dtype": value.dtype.str,
                b"shape": value.shape,
            }
        raise TypeError

    data = msgpack.packb(document, default=array)
    assert data is not None
    return data


def openpi_unpack(data: bytes | str) -> Any:
    def array(entry: Any) -> Any:
        if b"__ndarray__" in entry:
            return np.ndarray(buffer=entry[b"data"], dtype=np.dtype(entry[b"dtype"]), shape=entry[b"shape"])
        return entry

    assert isinstance(data, bytes), data
    return msgpack.unpackb(data, object_hook=array)


def libero_observation(x: float = 0.4, **changes: object) -> dict[str, object]:
    picture = np.full((256, 256, 3), 90, np.uint8)
    return {
        "observation/image": picture,
        "observation/wrist_image": picture,
        "observation/state": np.array([x, 0.0, 0.3, 3.1, 0.0, 0.0, 0.03, -0.03]),
        "prompt": "put the bowl on the plate",
        **changes,
    }


def test_an_openpi_client_gets_metadata_and_actions(server: ServerProcess) -> None:
    with dial(server) as connection:
        metadata = openpi_unpack(connection.recv(timeout=10))
        assert metadata["policy"] == "stand-in"
        assert metadata["action_horizon"] == 8
        assert metadata["cameras"] == {"external": [256, 256], "wrist": [256, 256]}
        for x in (0.4, 0.5):
            connection.send(openpi_pack(libero_observation(x)))
            answer = openpi_unpack(connection.recv(timeout=10))
            assert answer["actions"].shape == (8, 7)
            assert answer["actions"][0, 0] == pytest.approx(ECHO * x)
            assert answer["server_timing"]["infer_ms"] >= 8.0
            assert answer["policy_digest"] == metadata["policy_digest"]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"prompt": "x"}, "observation/state is missing"),
        (libero_observation(prompt=""), "prompt is missing"),
        (libero_observation(**{"observation/image": np.zeros((224, 224, 3), np.uint8)}), "expected uint8"),
        (libero_observation(**{"observation/state": np.full(8, np.nan)}), "finite numbers"),
        (libero_observation(**{"observation/state": np.zeros(7)}), "shape (7,), expected (8,)"),
        ([1, 2], "not a map"),
    ],
)
def test_a_wrong_observation_gets_a_sentence_and_the_connection_stays(
    server: ServerProcess, document: object, sentence: str
) -> None:
    with dial(server) as connection:
        connection.recv(timeout=10)
        connection.send(openpi_pack(document))
        refusal = connection.recv(timeout=10)
        assert isinstance(refusal, str)
        assert refusal.startswith("invalid: ")
        assert sentence in refusal
        connection.send(openpi_pack(libero_observation()))
        assert openpi_unpack(connection.recv(timeout=10))["actions"].shape == (8, 7)


def test_the_key_is_honoured(server: ServerProcess) -> None:
    for key in (None, "another-key-altogether"):
        with pytest.raises(InvalidStatus) as caught, dial(server, key=key):
            pass
        assert caught.value.response.status_code == 401


def test_web_pages_unknown_policies_and_huge_messages_are_refused(server: ServerProcess) -> None:
    with pytest.raises(InvalidStatus) as caught, dial(server, origin="http://evil.example"):
        pass
    assert caught.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as caught, dial(server, path="stand-on"):
        pass
    assert caught.value.response.status_code == 404
    assert b"did you mean 'stand-in'" in (caught.value.response.body or b"")
    with dial(server, path="stand-in") as connection:
        connection.recv(timeout=10)
        with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
            connection.send(bytes(40 << 20))
            connection.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_health_for_orchestrators(server: ServerProcess) -> None:
    with urllib.request.urlopen(f"http://{server.pages['openpi']}/healthz", timeout=10) as answer:
        assert answer.read() == b"OK\n"


def test_object_arrays_are_not_even_looked_at() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for dtype in ("|O", "object", "|V8", "<U4", "<c16", 7):
        entry = {b"__ndarray__": True, b"data": file.getvalue(), b"dtype": dtype, b"shape": [1]}
        with pytest.raises(WireError, match="accepted are"):
            unpack(msgpack.packb({"x": entry}) or b"")
    with pytest.raises(WireError, match="are not sent"):
        pack({"x": np.array([{}], dtype=object)})


def test_what_is_packed_is_unpacked() -> None:
    document = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": {"c": 1.5, "d": "text"}}
    again = openpi_unpack(pack(document))
    np.testing.assert_array_equal(again["a"], document["a"])
    assert again["b"] == document["b"]
    np.testing.assert_array_equal(unpack(openpi_pack(document))["a"], document["a"])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_fuzzed_messages_raise_nothing_but_a_wire_error(noise: bytes, at: int, value: int) -> None:
    good = bytearray(openpi_pack({"a": np.zeros((2, 3)), "b": [1, {"c": "d"}]}))
    good[at % len(good)] = value
    for data in (noise, bytes(good)):
        try:
            unpack(data)
        except WireError:
            continue


def test_certificates_and_roles_hold_here_too(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=(), days=1.0, now=datetime.datetime.now(datetime.UTC))

    def context(role: str | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        if role is not None:
            made.load_cert_chain(tmp_path / f"{role}.pem", tmp_path / f"{role}.key")
        return made

    arguments = ["--stand-in", "--tls", str(tmp_path), "--openpi-address", "127.0.0.1:0"]
    with ServerProcess(arguments) as server:
        url = f"wss://{server.pages['openpi']}/"
        with connect(url, ssl=context("bridge"), compression=None, proxy=None) as connection:
            assert openpi_unpack(connection.recv(timeout=10))["policy"] == "stand-in"
        with (
            pytest.raises(InvalidStatus) as caught,
            connect(url, ssl=context("console"), compression=None, proxy=None),
        ):
            pass
        assert caught.value.response.status_code == 401
        with (
            pytest.raises((ssl.SSLError, ConnectionClosed, EOFError, OSError, InvalidMessage)),
            connect(url, ssl=context(None), compression=None, proxy=None),
        ):
            pass


def test_without_tls_only_loopback() -> None:
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "policy_server",
            "--stand-in",
            "--address",
            "127.0.0.1:0",
            "--openpi-address",
            "0.0.0.0:0",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    assert "refusing to listen on 0.0.0.0:0 without TLS" in finished.stderr
