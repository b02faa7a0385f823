"""What `operator-console` says when it is started wrongly."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from operator_console.__main__ import Serve, serve


def test_a_port_in_use_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {port} cannot be used: .*--port"):
            serve(Serve(port=port))


def test_other_machines_need_https() -> None:
    with pytest.raises(SystemExit, match="--lan needs --certificate and --key"):
        serve(Serve(port=0, lan=True))


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="one of them is missing"):
        serve(Serve(port=0, certificate=tmp_path / "page.pem"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no such file: .*page\.pem, .*page\.key"):
        serve(Serve(port=0, lan=True, certificate=tmp_path / "page.pem", key=tmp_path / "page.key"))
    with pytest.raises(SystemExit, match=r"no such file: .*console\.pem"):
        Serve(tls=tmp_path).client()


def test_a_guessable_token_is_refused() -> None:
    with pytest.raises(SystemExit, match="6 characters, expected at least 16"):
        serve(Serve(port=0, token="secret"))


@pytest.mark.parametrize("command", ["serve", "demo-study"])
def test_help_reads_as_documentation(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operator_console", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "--bridge" in done.stdout
    assert ("not safety rated" if command == "serve" else "unattended") in done.stdout
