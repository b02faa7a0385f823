#!/bin/sh
# Make .envs/ros: real ROS 2 Jazzy (rclpy over Fast DDS) from wheels, colcon, and this package's robot side;
# and .envs/cyclonedds: another vendor's DDS, to look at our topics with. Neither is needed on a robot
# computer, where ROS comes from its own packages. `scripts/ros-env.sh interfaces` adds what generates messages
# (cmake and g++ come from the system).
set -eu
venv=.envs/ros
other=.envs/cyclonedds
stamp=".made-$(cat setup.cfg constraints.txt "$0" | cksum | cut -d' ' -f1)"
generators=".generators-$stamp"

install() {
    into=$1; shift
    "$into/bin/python" -m pip --disable-pip-version-check install -q "$@" >>"$into/setup.log" 2>&1 ||
        { echo "ros-env: pip failed; the end of $into/setup.log: $(tail -n 3 "$into/setup.log" | tr '\n' ' ')" >&2; exit 1; }
}

interfaces() {
    [ -e "$venv/$generators" ] && return
    names=""
    for name in rosidl-default-generators rosidl-core-generators ament-cmake ament-cmake-ros ament-cmake-python \
        ament-package ament-cmake-include-directories ament-cmake-export-interfaces ament-cmake-export-targets \
        ament-cmake-gtest ament-cmake-gmock ament-cmake-pytest python-cmake-module; do
        names="$names ros-jazzy-$name"
    done
    # shellcheck disable=SC2086
    install "$venv" $names empy==3.3.4 lark-parser colcon-cmake
    # The wheels' CMake files name folders of the machine that built them.
    "$venv/bin/python" - <<'END'
import re, sys, sysconfig
from pathlib import Path

here = {"include/python3\\.\\d+": sysconfig.get_paths()["include"],
        "lib/python3\\.\\d+/site-packages": sysconfig.get_paths()["purelib"]}
for path in Path(sys.prefix, "share").glob("*/cmake/*.cmake"):
    text = changed = path.read_text()
    for theirs, ours in here.items():
        changed = re.sub("/opt/python/cp3\\d+-cp3\\d+/" + theirs, ours, changed)
    if changed != text:
        path.write_text(changed)
END
    touch "$venv/$generators"
}

if [ -e "$venv/$stamp" ] && [ -e "$other/$stamp" ]; then
    [ "${1:-}" = interfaces ] && interfaces
    exit 0
fi

python=""
for candidate in ${PYTHON_ROS:-} python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python3.12 python3.11; do
    "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue
    python=$candidate; break
done
[ -n "$python" ] || { echo "ros-env: Python 3.12 or 3.11 with its venv module is needed and was not found" >&2; exit 1; }

echo "ros-env: installing into $venv and $other with $("$python" --version) (a minute or two)"
for each in "$venv" "$other"; do
    [ -x "$each/bin/python" ] || "$python" -m venv "$each"
    rm -f "$each"/.made-*
done
install "$venv" "setuptools<80" colcon-core==0.21.3 colcon-ros==0.5.0 colcon-python-setup-py colcon-bash \
    colcon-recursive-crawl colcon-library-path colcon-package-selection colcon-output
install "$venv" -c constraints.txt -e ".[ros-wheels,bridge,twin,franka]" pytest pytest-timeout hypothesis
"$venv/bin/python" -m pip --disable-pip-version-check uninstall -q -y robot_bridge  # its dependencies only: colcon builds it
install "$other" "cyclonedds==11.0.1"
touch "$venv/$stamp" "$other/$stamp"
[ "${1:-}" != interfaces ] || interfaces
