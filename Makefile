# make setup | demo | test | check | proto | clean  (README.md says what each is for)
VENV ?= .venv
PYTHON ?=
TORCH ?= auto
DEMO ?=
DEMO_EXTRAS = server,bridge,twin,console
EXTRAS = $(DEMO_EXTRAS),calibration,realsense,train,libero,franka,dev
export PYTHON
export ROS_AUTOMATIC_DISCOVERY_RANGE = LOCALHOST
# Threads that wait for each other on a busy machine cost more than they bring at these sizes.
export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-py312 test-ros check format proto soak benchmarks clean

help:
	@echo "make demo    the whole chain on this machine, no robot, no GPU (DEMO=once: three trials, then exit)"
	@echo "make test    set up and run the tests"
	@echo "make check   formatting, lint, types"
	@echo "make setup   only the virtual environment (TORCH=cpu or TORCH=cuda chooses PyTorch's build)"
	@echo "make proto   regenerate the code of robot_contract/wire.proto"
	@echo "make clean   remove what the others made, recordings excepted"

setup:
	@scripts/setup.sh $(VENV) $(EXTRAS) $(TORCH)

demo:
	@scripts/setup.sh $(VENV) $(DEMO_EXTRAS) $(TORCH)
	@$(VENV)/bin/python -m robot_bridge demo $(if $(filter once,$(DEMO)),--once)

test: setup
	$(VENV)/bin/python -m pytest -m "not slow and not soak"

test-slow: setup
	$(VENV)/bin/python -m pytest -m "slow and not soak"

# What a robot computer runs with Python 3.12 (ROS 2 Jazzy): everything but torch.
test-py312:
	@PYTHON=$(or $(PYTHON312),python3.12) scripts/setup.sh .venv312 bridge,twin,console,calibration,dev none
	.venv312/bin/python -m pytest -m "not slow and not soak" tests/unit tests/contract

# Over real DDS, in an environment with ROS 2's wheels.
test-ros:
	@scripts/ros-env.sh
	.envs/ros/bin/python -m pytest -m "not slow and not soak" -W "ignore:module 'sre_:DeprecationWarning" \
	    tests/ros tests/faults/test_fault_18_dds.py --ignore tests/ros/test_colcon_build.py

soak: setup
	$(VENV)/bin/python -m pytest -m soak

check: setup
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/basedpyright

format: setup
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix

proto: setup
	$(VENV)/bin/python -m robot_contract.generate

clean:
	rm -rf $(VENV) .venv312 build install log dist *.egg-info .pytest_cache .hypothesis .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
