"""Pictures that come and go leave no memory behind, however long small things made beside them live."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os
from pathlib import Path
from robot_bridge.heap import keep_heap_whole

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

if {guarded}:
    assert keep_heap_whole()
before, pictures, kept = resident(), [], []
for _ in range(3):
    bytearray(b"x") * (1 << 20)  # freed at once: it teaches glibc to keep blocks of this size
for _ in range(8):
    pictures.append(bytearray(b"x") * (1 << 20))
    kept.append(bytes(60_000))  # a smaller thing that lives longer, right behind the picture
pictures.clear()
print(resident() - before)
"""


def grown(*, guarded: bool) -> float:
    """[MiB]"""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(guarded=guarded)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_pictures_leave_no_memory_behind() -> None:
    assert grown(guarded=True) < 1.0
    assert grown(guarded=False) > 2.0, "the guard has something to guard against"
