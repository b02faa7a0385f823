"""A folder that is being written is whole or absent: after success, failure, kill -9, and two at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.atomic_folder import new_folder
from robot_contract.errors import ContractError

WRITER = """
import sys, time
from pathlib import Path
from policy_server.atomic_folder import new_folder
with new_folder(Path(sys.argv[1])) as partial:
    (partial / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def write(path: Path, *, then: BaseException | None = None) -> None:
    with new_folder(path) as partial:
        (partial / "file").write_text("whole")
        if then is not None:
            raise then


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_folder_appears_whole_and_is_for_whom_the_umask_says(tmp_path: Path, umask: int) -> None:
    with new_folder(tmp_path / "a" / "b") as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "file").write_text("x")
        (partial / "inner" / "file").chmod(0o600)
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "inner" / "file").read_text() == "x"
    for name, mode in (("b", 0o777), ("b/inner", 0o777), ("b/inner/file", 0o666)):
        assert (tmp_path / "a" / name).stat().st_mode & 0o777 == mode & ~umask
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        write(tmp_path / "a", then=error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    writing = new_folder(tmp_path / "a")
    (writing.__enter__() / "file").write_text("mine")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("theirs")
    with pytest.raises(OSError, match="not empty"):
        writing.__exit__(None, None, None)
    assert (tmp_path / "a" / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="expected a name that is free"), new_folder(tmp_path):
        pass


def test_the_remains_of_a_killed_writer_go_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    target = tmp_path / "a"
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (living,) = tmp_path.iterdir()
        write(tmp_path / "b")
        with pytest.raises(OSError, match="disk full"):
            write(target, then=OSError("disk full"))
        assert living.exists()
        os.kill(writer.pid, signal.SIGKILL)
    assert living.exists()
    assert not target.exists()
    write(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
