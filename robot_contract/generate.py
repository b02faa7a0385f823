"""`python -m robot_contract.generate`: write the Python code of every .proto file of the project.

The result is committed (colcon has no protoc step); a contract test regenerates and compares.
Needs the `dev` extra.
"""

import importlib.resources
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
SOURCES = (
    "robot_contract/wire.proto",
    "robot_bridge/recording/record.proto",
    "robot_bridge/recording/foxglove.proto",
)
WITH_SERVICES = {"robot_contract/wire.proto"}


def generated(source: str) -> list[str]:
    """The files that a .proto file becomes, relative to the project's root."""
    stem = source.removesuffix(".proto")
    endings = ["_pb2.py", "_pb2.pyi", *(["_pb2_grpc.py"] if source in WITH_SERVICES else [])]
    return [stem + ending for ending in endings]


def generate(destination: Path) -> None:
    """Write all generated files below `destination`, in the project's own folders."""
    known_types = str(importlib.resources.files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            (Path(folder) / source).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / source).write_text((ROOT / source).read_text())
        for source in SOURCES:
            services = [f"--grpc_python_out={folder}"] if source in WITH_SERVICES else []
            status = protoc.main(
                [
                    *("protoc", f"-I{folder}", f"-I{known_types}"),
                    *(f"--python_out={folder}", f"--pyi_out={folder}", *services),
                    str(Path(folder) / source),
                ]
            )
            if status != 0:
                raise SystemExit(f"protoc ended with status {status} for {source}")
            for name in generated(source):
                text = (Path(folder) / name).read_text()
                (destination / name).parent.mkdir(parents=True, exist_ok=True)
                (destination / name).write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
