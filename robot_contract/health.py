"""`python -m robot_contract.health KIND WHERE`: does a program answer? For containers and for whoever waits.

`grpc HOST:PORT` asks the standard health service of policy-server or robot-bridge, `http URL` a web page.
Exits 0 when it serves, 1 with a sentence when it does not.
"""

import sys
import urllib.error
import urllib.request
from pathlib import Path

import grpc

from robot_contract.channel import TlsFiles, open_blocking_channel

SECONDS = 2.0  # [s] the longest that an answer is waited for
_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}
_USAGE = (
    "usage: python -m robot_contract.health grpc HOST:PORT [TLS_FOLDER ROLE]\n"
    "       python -m robot_contract.health http URL"
)


def grpc_problem(address: str, tls: TlsFiles | None = None) -> str:
    """Why the server at `address` does not call itself healthy; empty when it does."""
    with open_blocking_channel(address, tls) as channel:
        check = channel.unary_unary(_CHECK, request_serializer=bytes, response_deserializer=bytes)
        try:
            answer = check(b"", timeout=SECONDS)
        except grpc.RpcError as error:
            return f"{address} does not answer: {_details(error)}"
    return "" if answer == _SERVING else f"{address} answers, and is not serving"


def page_problem(url: str) -> str:
    """Why no page is served at `url`; empty when one is, also to somebody who may not see it."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code < 500 else f"{url} answers {error.code}"
    except OSError as error:
        return f"{url} does not answer: {error}"


def _details(error: grpc.RpcError) -> str:
    return error.details() or error.code().name if isinstance(error, grpc.Call) else str(error)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["grpc", address]:
            problem = grpc_problem(address)
        case ["grpc", address, folder, role]:
            problem = grpc_problem(address, TlsFiles.in_folder(Path(folder), role))
        case ["http", url]:
            problem = page_problem(url)
        case _:
            sys.stderr.write(_USAGE + "\n")
            return 2
    if problem:
        sys.stderr.write(f"health: {problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
