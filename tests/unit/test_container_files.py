"""Dockerfile and compose.yaml, read as they stand: no container engine is at hand where the tests run.

What can be known without one is checked: hadolint, sources, pins, users, health checks, and that every RUN
step is a script which .ci/run calls as well.
"""

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from operator_console.__main__ import Serve as ServeConsole
from policy_server.commands import Serve as ServePolicy
from robot_bridge.launch_arguments import FRANKA, MOCK

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
CI = (ROOT / ".ci" / "run").read_text() + (ROOT / "Makefile").read_text()
TARGETS = {"policy", "console", "test", "bridge"}
PLAIN = {"rm", "useradd", "chown"}  # of the distribution itself, beside the scripts


@dataclass
class Stage:
    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)  # instruction, the rest of its line

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def stages() -> dict[str, Stage]:
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: dict[str, Stage] = {}
    defaults: dict[str, str] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, rest = line.strip().split(maxsplit=1)
        if instruction == "ARG" and not found:
            name, _, value = rest.partition("=")
            defaults[name] = value
        elif instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], base)
            found[name] = Stage(name=name, base=base)
        else:
            list(found.values())[-1].steps.append((instruction, " ".join(rest.split())))
    return found


STAGES = stages()


def lineage(name: str) -> list[Stage]:
    """A stage and those that it is built from, the first one first."""
    stage = STAGES[name]
    return [*(lineage(stage.base) if stage.base in STAGES else []), stage]


def steps(name: str, instruction: str) -> list[str]:
    return [rest for stage in lineage(name) for rest in stage.all(instruction)]


def copied(line: str) -> list[str]:
    """The sources of a COPY."""
    return [word for word in shlex.split(line) if not word.startswith("--")][:-1]


def commands(run: str) -> list[list[str]]:
    return [shlex.split(part) for part in run.split("&&")]


@pytest.mark.skipif(shutil.which("hadolint", path=Path(sys.executable).parent) is None, reason="no hadolint")
def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_targets_are_there() -> None:
    assert set(STAGES) >= TARGETS


@pytest.mark.parametrize("name", sorted(STAGES))
def test_base_images_have_a_version(name: str) -> None:
    base = STAGES[name].base
    if base not in STAGES:
        tag = base.partition(":")[2]
        assert tag, f"{base} has no tag"
        assert "latest" not in tag


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_copied_file_is_in_the_tree_and_not_ignored(name: str) -> None:
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#!"
    ]
    for line in STAGES[name].all("COPY"):
        for source in copied(line):
            assert (ROOT / source).exists(), source
            assert not any(fnmatch.fnmatch(source.rstrip("/"), pattern) for pattern in ignored), source


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_images_do_not_run_as_root(name: str) -> None:
    """And nothing is run as root after the user was set."""
    names = [step for stage in lineage(name) for step, _ in stage.steps]
    users = steps(name, "USER")
    assert users[-1].isdigit()
    assert int(users[-1]) >= 10000
    after = names[len(names) - names[::-1].index("USER") :]
    assert "RUN" not in after
    assert any(f"useradd --uid {users[-1]}" in run for run in steps(name, "RUN"))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_step_calls_what_ci_runs_too(name: str) -> None:
    available = {source for stage in lineage(name) for line in stage.all("COPY") for source in copied(line)}
    for run in STAGES[name].all("RUN"):
        for command in commands(run):
            program = command[0]
            if program == "make":
                assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
                assert "Makefile" in available
            elif program.startswith("scripts/"):
                assert program in available, f"{name} runs {program} before it was copied"
                assert program in CI, f"{program} is not run by .ci/run"
                assert (ROOT / program).stat().st_mode & 0o100, program
            else:
                assert program in PLAIN, f"{name}: put {' '.join(command)!r} into a script"


@pytest.mark.parametrize("name", sorted(STAGES))
def test_the_packages_of_an_image_are_installed_in_ci_too(name: str) -> None:
    (ci,) = re.findall(r"^scripts/apt-packages\.sh (.*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    for run in STAGES[name].all("RUN"):
        for command in commands(run):
            if command[0] == "scripts/apt-packages.sh":
                assert set(command[1:]) <= set(ci.split())


def test_versions_are_pinned_in_one_place() -> None:
    """No image installs by itself; what scripts pin beside constraints.txt is one version everywhere."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "pip install" not in dockerfile
    assert "apt-get" not in dockerfile
    scripts = {
        path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "scripts").glob("*.sh")
    }
    elsewhere = [*scripts.values(), (ROOT / "constraints.txt").read_text()]
    for script in (name for name in scripts if name in dockerfile):
        for name, version in re.findall(r"([A-Za-z][\w-]*)==(\d[\w.]*)", scripts[script]):
            for other in re.findall(rf"(?<![\w-]){name}==(\d[\w.]*)", "\n".join(elsewhere)):
                assert other == version, f"{script} pins {name} {version}, elsewhere it is {other}"


@pytest.mark.parametrize("name", ["policy", "console", "bridge"])
def test_a_health_check_asks_the_program_itself(name: str) -> None:
    (line,) = steps(name, "HEALTHCHECK")
    command: list[str] = json.loads(line[line.index("[") :])
    if name == "bridge":
        assert command.pop(0) == "/opt/touchdown/scripts/ros-entrypoint.sh"
    assert command[:3] == ["python", "-m", "robot_contract.health"]
    kind, where = command[3:]
    port = re.search(r":(\d+)", where)
    assert port is not None
    assert (kind, port[1], steps(name, "EXPOSE")) == {
        "policy": ("grpc", "50051", ["50051"]),
        "console": ("http", "8080", ["8080"]),
        "bridge": ("grpc", "50052", ["50052"]),
    }[name]


def test_what_is_installed_first_is_enough_for_the_metadata(tmp_path: Path) -> None:
    """The layer with the dependencies has no program yet: setup.cfg must find all that it names."""
    for line in STAGES["debian"].all("COPY"):
        for source in copied(line):
            target = tmp_path / source
            target.parent.mkdir(parents=True, exist_ok=True)
            path = ROOT / source
            shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from setuptools import setup; setup()", "-q"),
            *("egg_info", "install_data", "--install-dir", str(tmp_path / "data")),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "share" / "robot_bridge" / "launch" / "franka.launch.py").exists()


def test_compose_runs_the_three_programs() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"policy", "bridge", "console"}
    for name, service in services.items():
        assert service["build"]["target"] == name
        assert service["ipc"] == "host"
        assert service["network_mode"] == "host"
        assert service["restart"] == "no"
        assert service["image"].endswith(":0.1.0")
        assert not service.get("privileged", False)
    assert services["bridge"]["depends_on"] == {"policy": {"condition": "service_healthy"}}
    assert services["console"]["depends_on"] == {"bridge": {"condition": "service_healthy"}}


def test_compose_names_the_dds_profile() -> None:
    environment = COMPOSE["services"]["bridge"]["environment"]
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        inside = Path(environment[name]).relative_to("/opt/touchdown")
        assert (ROOT / inside).is_file()
        assert any(inside.is_relative_to(s) for line in STAGES["bridge"].all("COPY") for s in copied(line))


def options_of(command: type) -> set[str]:
    return {f"--{name.replace('_', '-')}" for name in command.__dataclass_fields__}


@pytest.mark.parametrize(("name", "command"), [("policy", ServePolicy), ("console", ServeConsole)])
def test_the_commands_have_options_that_exist(name: str, command: type) -> None:
    (image,) = steps(name, "CMD")
    for words in (json.loads(image), COMPOSE["services"][name]["command"]):
        assert words[0] == "serve"
        assert {word for word in words if word.startswith("--")} <= options_of(command)


def test_the_launch_commands_have_arguments_that_exist() -> None:
    (image,) = steps("bridge", "CMD")
    for words, arguments in ((json.loads(image), MOCK), (COMPOSE["services"]["bridge"]["command"], FRANKA)):
        assert words[:3] == ["ros2", "launch", "robot_bridge"]
        assert (ROOT / "launch" / words[3]).exists()
        given = {word.partition(":=")[0] for word in words[4:]}
        assert given <= {argument.name for argument in arguments}
