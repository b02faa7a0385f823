"""scripts/apt-packages.sh says in one sentence what is wrong; the mirror is that of the machine itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "apt-packages.sh"


def run(tmp_path: Path, *groups: str, **stand_ins: str) -> subprocess.CompletedProcess[str]:
    """Run the script with some programs replaced by the given shell text."""
    for name, text in stand_ins.items():
        program = tmp_path / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return subprocess.run(
        [SCRIPT, *groups], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("groups", "words"), [((), "expected one or more"), (("gpu",), "no group 'gpu'")])
def test_a_wrong_group_is_a_sentence(tmp_path: Path, groups: tuple[str, ...], words: str) -> None:
    done = run(tmp_path, *groups)
    assert done.returncode == 1
    assert words in done.stderr
    assert "python, build, twin, realsense, simulation, browser" in done.stderr


def test_nothing_is_done_when_all_is_there(tmp_path: Path) -> None:
    installed = "case $2 in *Status*) echo install ok installed ;; *) echo 25.0.7-2~bpo12+1 ;; esac"
    done = run(tmp_path, "twin", "simulation", dpkg_query=installed, apt_get="echo called; exit 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_root_it_says_what_to_type(tmp_path: Path) -> None:
    done = run(tmp_path, "realsense", dpkg_query="exit 1", id="echo 1000")
    assert done.returncode == 1
    assert "root is needed to install libusb-1.0-0" in done.stderr
    assert done.stderr.strip().endswith("apt-packages.sh realsense")


def test_a_failing_apt_is_one_sentence_with_its_last_lines(tmp_path: Path) -> None:
    done = run(
        tmp_path, "realsense", dpkg_query="exit 1", id="echo 0", apt_get="echo 'E: no network'; exit 100"
    )
    assert done.returncode == 1
    assert done.stderr == "apt-packages: 'apt-get update -q' failed: E: no network \n"


def test_backports_come_from_the_machine_s_own_mirror() -> None:
    program = re.search(r"awk '([^']*)'", SCRIPT.read_text())
    assert program is not None
    own = (
        "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm\n"
        "Components: main\nSigned-By: /keys/one.gpg\n\nTypes: deb\nURIs: http://mirror.example/security\n"
        "Suites: bookworm-security\nComponents: main\nSigned-By: /keys/two.gpg\n"
    )
    done = subprocess.run(["awk", program[1]], input=own, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n"
        "Components: main\nSigned-By: /keys/one.gpg\n"
    )
