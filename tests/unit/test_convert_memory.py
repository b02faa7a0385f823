"""Converting streams: the peak stays under 1.3 times the model, reading it for its golden chunk included."""

import dataclasses
import subprocess
import sys
from pathlib import Path

from policy_server.convert.look_alike import oft_folder
from policy_server.convert.published_shapes import SMALL
from policy_server.golden_making import SMALL_MODEL_BYTES

# A program of its own, so that nothing else counts; the peak is started anew after the imports.
MEASURE = """
import sys
from pathlib import Path
import torch
from policy_server.convert.conversion import Choices, plan_conversion, run_conversion
from policy_server.convert.robots import robot_preset

torch.set_num_threads(1)

def resident(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(name))

choices = Choices(name="x", robot=robot_preset("libero"), robot_name="libero", cameras=("external", "wrist"))
conversion = plan_conversion(Path(sys.argv[1]), choices)
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS:")
run_conversion(conversion, Path(sys.argv[2]), shard_bytes=int(sys.argv[3]))
print(resident("VmHWM:") - before)
"""


def test_converting_needs_little_more_memory_than_the_model(tmp_path: Path) -> None:
    sizes = dataclasses.replace(SMALL, hidden=384, layers=4, mlp=1024)
    source = oft_folder(tmp_path / "src", sizes, shards=6)
    size = sum(file.stat().st_size for file in source.iterdir())
    assert size > 2 * SMALL_MODEL_BYTES
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "dst"), str(size // 8)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(measured.stdout) < 1.3 * size
