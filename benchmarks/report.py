"""What every benchmark prints: a table for people, and with --json one object for programs.

Beside the figures stand the machine, the commit, the versions and how many samples each figure is of.
A figure that could not be measured is absent.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that all benchmarks take."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--json", metavar="FILE", help="write one JSON object; - for standard output")
    made.add_argument("--quick", action="store_true", help="fewer samples: two minutes on two cores")
    return made


def machine() -> dict[str, object]:
    model = ""
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = [line for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else ""
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    answer = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


def versions(*packages: str) -> dict[str, str]:
    """Of Python and of these packages, where installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def report(
    figures: Mapping[str, object], *, n: Mapping[str, int], packages: Sequence[str], json_to: str | None
) -> None:
    """Print the figures, and write them to `json_to`, which is - for standard output."""
    width = max((len(name) for name in figures), default=0)
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        samples = f"   n = {n[name]}" if name in n else ""
        print(f"{name:<{width}}  {shown}{samples}")
    document = {
        **figures,
        "n": dict(n),
        "machine": machine(),
        "commit": commit(),
        "versions": versions(*packages),
    }
    text = json.dumps(document, sort_keys=True) + "\n"
    if json_to == "-":
        sys.stdout.write(text)
    elif json_to is not None:
        Path(json_to).write_text(text, encoding="utf-8")
