"""Trial after trial: memory and descriptors stay flat and the loop keeps its rate. `make soak` runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 30


@pytest.mark.soak
@pytest.mark.timeout(2 * 60 * MINUTES)
@pytest.mark.parametrize("rig", ["mock", "twin"])
def test_fault_20_soak(rig: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "soak.json"
    done = subprocess.run(
        [
            sys.executable,
            "benchmarks/soak.py",
            "--rig",
            rig,
            "--minutes",
            str(MINUTES),
            "--json",
            str(report),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(report.read_text())
    with capsys.disabled():
        print(done.stdout[-1500:])
    for name in ("soak_bridge_fds", "soak_server_fds", "soak_bridge_threads"):
        early, late = figures[name]
        assert late <= early, name
    for name in ("soak_bridge_rss_mib", "soak_server_rss_mib"):
        early, late = figures[name]
        assert late <= 1.05 * early, name
    early, late = figures["soak_recorder_rss_mib"]
    assert late <= 1.10 * early, "files come and go"
    early, late = figures["soak_loop_rate_hz"]
    assert late >= 0.95 * early
    assert figures["soak_trials"] > 3
