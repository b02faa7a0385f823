#!/bin/sh
# Build this package against an installed ROS 2: scripts/ros-workspace.sh VENV WORKSPACE
# VENV sees the system's packages, so that ROS's rclpy and the newer grpcio and protobuf of our generated code
# meet in one interpreter; colcon runs in it and writes it into the executables that it installs.
set -eu
[ $# -eq 2 ] || { echo "ros-workspace: expected VENV WORKSPACE, found $# arguments" >&2; exit 1; }
venv=$1 workspace=$2
python=$(command -v python3) || { echo "ros-workspace: python3 was not found" >&2; exit 1; }
"$python" -m venv --system-site-packages "$venv"
log="$venv/setup.log"
fail() { echo "ros-workspace: $1 failed; the end of $log: $(tail -n 3 "$log" | tr '\n' ' ')" >&2; exit 1; }
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@" >>"$log" 2>&1 || fail "pip $*"; }

# ROS's messages were compiled against the system's numpy: where there is one, that one stays.
cp constraints.txt "$venv/constraints.txt"
numpy=$("$python" -c 'import numpy; print(numpy.__version__)' 2>/dev/null) &&
    sed -i "s/^numpy==.*/numpy==$numpy/" "$venv/constraints.txt"
pip install -q "setuptools<80" colcon-core==0.21.3 colcon-ros==0.5.0 colcon-python-setup-py colcon-bash \
    colcon-recursive-crawl colcon-library-path colcon-package-selection colcon-output
pip install -q -c "$venv/constraints.txt" ".[bridge,console,realsense,franka]"
pip uninstall -q -y robot_bridge # its dependencies only; colcon installs it

PATH="$venv/bin:$PATH" "$venv/bin/colcon" --log-base "$workspace/log" build --paths . \
    --build-base "$workspace/build" --install-base "$workspace/install" >>"$log" 2>&1 || fail "colcon build"
