"""`python -m robot_contract.generate [DIR]`: write the protobuf and gRPC code of wire.proto.

The result is committed (colcon has no protoc step); a contract test regenerates and compares.
Needs the `dev` extra.
"""

import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PACKAGE = Path(__file__).parent
GENERATED = ("wire_pb2.py", "wire_pb2.pyi", "wire_pb2_grpc.py")


def generate(destination: Path) -> None:
    """Write the three generated files of wire.proto into `destination`."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "robot_contract"
        source.mkdir()
        (source / "wire.proto").write_text((PACKAGE / "wire.proto").read_text())
        status = protoc.main(
            [
                "protoc",
                f"-I{folder}",
                f"--python_out={folder}",
                f"--pyi_out={folder}",
                f"--grpc_python_out={folder}",
                str(source / "wire.proto"),
            ]
        )
        if status != 0:
            raise SystemExit(f"protoc ended with status {status}")
        for name in GENERATED:
            text = (source / name).read_text()
            (destination / name).write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
