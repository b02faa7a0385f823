"""The commands in the documentation exist with the options shown, and the harmless ones are run."""

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {
    "policy-server": "policy_server",
    "robot-bridge": "robot_bridge",
    "operator-console": "operator_console",
    "sim-train": "sim_train",
    "calibrate": "calibration",
}
# Of the other commands in fenced blocks: who runs them.
ELSEWHERE = {
    "apt-get": "a bare machine",
    "sudo": "a bare machine",
    "pytest": "make test",
    "colcon": "tests/ros/test_colcon_build.py",
    "ros2": "a machine with ROS 2",
    "git": "a bare machine",
    "docker": "tests/unit/test_container_files.py",
    "mkdir": "a shell",
    "cd": "a shell",
    "pip": "scripts/setup.sh",
    "python": "checked below",
    "make": "checked below",
    "openssl": "a shell",
    "curl": "a shell",
    "export": "a shell",
    "ssh": "a shell",
    "scp": "a shell",
    "kill": "a shell",
    "serve": "a machine with Ray",
    "ray": "a machine with Ray",
    "torchrun": "a machine with several GPUs",
    "grpcurl": "a machine that has it",
    "systemctl": "a GPU machine",
    "prometheus": "a machine that has it",
}


def fenced_commands(text: str) -> list[str]:
    commands: list[str] = []
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        joined = block.replace("\\\n", " ")
        commands += [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [command for command in commands if command and not command.startswith("#")]


def inline_commands(text: str) -> list[str]:
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [code for code in re.findall(r"`([^`\n]+)`", outside) if code.split()[0] in PROGRAMS]


def all_commands() -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        text = path.read_text()
        name = path.relative_to(ROOT).as_posix()
        found += [(name, command) for command in fenced_commands(text) + inline_commands(text)]
    return found


COMMANDS = all_commands()


@functools.cache
def help_text(program: str, subcommand: str) -> str:
    arguments = [sys.executable, "-m", PROGRAMS[program], *subcommand.split(), "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def words_of(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]  # VARIABLE=value before a command
    return words


@pytest.mark.parametrize(
    ("document", "command"), COMMANDS, ids=[f"{document}: {command}" for document, command in COMMANDS]
)
def test_a_documented_command_exists(document: str, command: str) -> None:
    words = words_of(command)
    program = Path(words[0]).name
    if program == "python" and words[1:2] == ["-m"] and words[2] in PROGRAMS.values():
        program, words = next(name for name in PROGRAMS if PROGRAMS[name] == words[2]), words[2:]
    if program == "make":
        targets = [word for word in words[1:] if "=" not in word]
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in targets)
    elif program in PROGRAMS:
        arguments = words[1:]
        subcommand = arguments[0] if arguments and re.fullmatch(r"[a-z][a-z-]*", arguments[0]) else ""
        shown = help_text(program, subcommand)
        if subcommand and arguments[1:] and re.search(rf"• {re.escape(arguments[1])}\b", shown):
            shown = help_text(program, f"{subcommand} {arguments[1]}")  # a command of commands
        for option in (word.split("=")[0] for word in arguments if word.startswith("--")):
            assert option in shown, f"{document}: {program} {subcommand} has no {option}"
    elif program == "python" or program.endswith(".sh"):
        script = words[1] if program == "python" else words[0]
        assert script == "-m" or (ROOT / script).exists(), f"{document}: there is no {script}"
    else:
        assert program in ELSEWHERE, f"{document}: who runs {command!r}?"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("robot_bridge", "modes"), "FAULT"),
        (("robot_bridge", "rigs"), "twin"),
        (("robot_bridge", "check", "twin"), "reduced"),
        (("sim_train", "tasks", "--episodes", "1"), "semantics"),
    ],
)
def test_harmless_commands_run(arguments: tuple[str, ...], expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
