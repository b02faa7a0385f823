#!/bin/sh
# Make .envs/colcon: colcon with what an ament_python package needs, in an environment of its own.
set -eu
venv=.envs/colcon
[ -e "$venv/.made" ] && exit 0
python=$(command -v python3.11 || command -v python3.12 || command -v python3)
"$python" -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check install -q \
    "setuptools<80" colcon-core==0.21.3 colcon-ros==0.5.0 colcon-python-setup-py colcon-bash \
    colcon-recursive-crawl colcon-library-path colcon-package-selection colcon-output numpy >"$venv/setup.log" 2>&1 ||
    { echo "colcon-env: pip failed; the end of $venv/setup.log: $(tail -n 3 "$venv/setup.log")" >&2; exit 1; }
touch "$venv/.made"
