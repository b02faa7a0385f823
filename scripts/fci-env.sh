#!/bin/sh
# Make .envs/fci: franka-sim, a simulated control interface of an FR3, in an environment of its own (its numpy and
# mujoco are older than ours). tests/fci and benchmarks/fci.py start it as a process.
set -eu
venv=.envs/fci
version=1.1.7
[ -e "$venv/.made-$version" ] && exit 0
python=$(command -v python3.11 || command -v python3.12 || command -v python3)
mkdir -p .envs
"$python" -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check install -q \
    "franka-sim==$version" "numpy==1.26.4" "mujoco==3.2.7" >"$venv/setup.log" 2>&1 ||
    { echo "fci-env: pip failed; the end of $venv/setup.log: $(tail -n 3 "$venv/setup.log")" >&2; exit 1; }
touch "$venv/.made-$version"
