# syntax=docker/dockerfile:1
# One image per program, and one that runs the tests (docs/containers.md):
#     docker build --target bridge --tag touchdown-bridge .
# Each RUN step calls a script that .ci/run calls as well, so that none of them rots unseen.

# Tags, because digests differ by platform; pin a digest with --build-arg ROS_IMAGE=ros@sha256:...
ARG DEBIAN_IMAGE=debian:12.11-slim
ARG ROS_IMAGE=ros:jazzy-ros-base-noble

FROM ${DEBIAN_IMAGE} AS debian
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/touchdown PYTHONUNBUFFERED=1
WORKDIR /opt/touchdown
COPY scripts/apt-packages.sh scripts/setup.sh scripts/
RUN scripts/apt-packages.sh python && rm -rf /var/lib/apt/lists/* && useradd --uid 10001 --create-home touchdown
# What pip needs to install the dependencies; the programs themselves come last and are found by PYTHONPATH.
COPY setup.cfg setup.py pyproject.toml constraints.txt package.xml README.md LICENSE ./
COPY resource/ resource/
COPY launch/ launch/

# ---- the GPU machine: needs nothing but NVIDIA's driver and container runtime; PyTorch brings CUDA
FROM debian AS policy
RUN scripts/setup.sh /opt/venv server cuda
COPY robot_contract/ robot_contract/
COPY policy_server/ policy_server/
USER 10001
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-m", "robot_contract.health", "grpc", "127.0.0.1:50051"]
ENTRYPOINT ["policy-server"]
CMD ["serve", "/checkpoints/policy", "--device", "cuda"]

# ---- any computer with a browser
FROM debian AS console
RUN scripts/setup.sh /opt/venv console none
COPY robot_contract/ robot_contract/
COPY operator_console/ operator_console/
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "robot_contract.health", "http", "http://127.0.0.1:8080/"]
ENTRYPOINT ["operator-console"]
CMD ["serve", "--port", "8080", "--bridge", "127.0.0.1:50052"]

# ---- everything that `make test` needs, without a GPU
FROM debian AS test
RUN scripts/apt-packages.sh build twin realsense simulation browser && rm -rf /var/lib/apt/lists/*
COPY Makefile Makefile
RUN make setup VENV=/opt/venv TORCH=cpu && chown 10001 /opt/touchdown
COPY --chown=10001 . .
USER 10001
HEALTHCHECK NONE
CMD ["make", "test", "VENV=/opt/venv", "TORCH=cpu"]

# ---- the robot computer: ROS 2 Jazzy from its own image, our programs by colcon
FROM ${ROS_IMAGE} AS bridge
ENV PATH=/opt/venv/bin:$PATH WORKSPACE=/opt/workspace PYTHONUNBUFFERED=1
WORKDIR /opt/touchdown
COPY scripts/apt-packages.sh scripts/ros-workspace.sh scripts/ros-entrypoint.sh scripts/
RUN scripts/apt-packages.sh python realsense && rm -rf /var/lib/apt/lists/*
COPY setup.cfg setup.py pyproject.toml constraints.txt package.xml README.md LICENSE ./
COPY resource/ resource/
COPY launch/ launch/
COPY robot_contract/ robot_contract/
COPY robot_bridge/ robot_bridge/
COPY operator_console/ operator_console/
COPY policy_server/ policy_server/
COPY calibration/ calibration/
COPY sim_train/ sim_train/
RUN scripts/ros-workspace.sh /opt/venv /opt/workspace && useradd --uid 10001 --create-home --groups plugdev touchdown
USER 10001
WORKDIR /home/touchdown
EXPOSE 50052
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/opt/touchdown/scripts/ros-entrypoint.sh", "python", "-m", "robot_contract.health", "grpc", "127.0.0.1:50052"]
ENTRYPOINT ["/opt/touchdown/scripts/ros-entrypoint.sh"]
CMD ["ros2", "launch", "robot_bridge", "mock.launch.py", "console:=false"]
