#!/bin/bash
# Run a command inside ROS 2 and the workspace that scripts/ros-workspace.sh built: WORKSPACE names it.
for setup in /opt/ros/*/setup.bash "${WORKSPACE:?is not set}/install/setup.bash"; do
    # shellcheck disable=SC1090  # known at run time only
    [ -e "$setup" ] && source "$setup"
done
exec "$@"
