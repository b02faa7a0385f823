"""A simulated control interface (franka-sim) on an address of its own, with a hand that takes its time.

    .envs/fci/bin/python scripts/fci_server.py ADDRESS MODEL.xml

Runs in the environment that scripts/fci-env.sh makes. Enforces communication and motion limits. Reads one
command a line and answers each with one line:

    state               joint positions, speeds, mode and errors as JSON, with this machine's monotonic time
    reflex NAME         the arm stops with this error, as after a collision
    mode NAME           Idle, UserStopped, Guiding
    object WIDTH        something of this width [m] stands between the fingers; `none` takes it away
    fresh               hand open and empty, mode Idle, as at the start
    hang up             close the connections, as a pulled cable does
"""

import json
import logging
import os
import sys
import threading
import time

import franka_sim.mujoco_franka_sim as physics
import numpy as np
from franka_sim.comm_constraints import COMMUNICATION_CONSTRAINTS_VIOLATION_INDEX
from franka_sim.franka_sim_server import FrankaSimServer
from franka_sim.gripper.backend import FrankaHandSim, GripperStateData, validate_width
from franka_sim.gripper.server import FrankaGripperServer
from franka_sim.server.constants import RobotMode

ERRORS = {  # places in libfranka's list of errors
    "joint_position_limits_violation": 0,
    "self_collision_avoidance_violation": 2,
    "joint_velocity_violation": 3,
    "joint_reflex": 6,
    "cartesian_reflex": 7,
    "communication_constraints_violation": COMMUNICATION_CONSTRAINTS_VIOLATION_INDEX,
}
HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])  # [rad]
HAND_PERIOD = 0.005  # [s]


class Hand(FrankaHandSim):
    """Fingers that move at the speed that was asked for, and that a stop ends."""

    def __init__(self) -> None:
        super().__init__()
        self._stops = 0
        self._one_at_a_time = threading.Lock()

    def homing(self) -> bool:
        return self._go(0.0, 0.1) and self._go(self.max_width, 0.1)

    def move(self, width: float, speed: float) -> bool:
        validate_width(width, self.max_width, "move")
        self.is_grasped = False
        return self._go(width, speed)

    def grasp(self, width, epsilon_inner, epsilon_outer, speed, force) -> bool:
        validate_width(width, self.max_width)
        stops = self._stops
        self._go(0.0, speed)
        if stops == self._stops:
            self.is_grasped = width - epsilon_inner < self.width < width + epsilon_outer
        return self.is_grasped

    def stop(self) -> bool:
        self._stops += 1
        return True

    def get_state(self) -> GripperStateData:
        return GripperStateData(self.width, self.max_width, self.is_grasped, self.temperature)

    def _go(self, width: float, speed: float) -> bool:
        with self._one_at_a_time:
            stops = self._stops
            while abs(self.width - width) > 1e-9:
                if stops != self._stops:
                    raise RuntimeError("stopped")  # the hand answers that the command was aborted
                step = min(abs(width - self.width), speed * HAND_PERIOD)
                wanted = self.width + (step if width > self.width else -step)
                self.width = self._blocked(wanted)
                if self.width != wanted:
                    return False
                time.sleep(HAND_PERIOD)
            return True


class HandServer(FrankaGripperServer):
    """Commands run beside the line, so that a stop is heard while the fingers move."""

    def _dispatch_command(self, sock, header, payload) -> None:
        run = super()._dispatch_command
        threading.Thread(target=run, args=(sock, header, payload), daemon=True).start()


def obey(line: str, server: FrankaSimServer, hand: Hand) -> str:
    command, _, argument = line.strip().partition(" ")
    if command == "state":
        state = server.physics_sim.get_robot_state()
        return json.dumps(
            {
                "at": time.monotonic(),
                "q": [float(value) for value in state["q"]],
                "dq": [float(value) for value in state["dq"]],
                "mode": RobotMode(server.robot_state.state["robot_mode"]).name[1:],
                "width": hand.width,
            }
        )
    if command == "reflex":
        server._abort_with_error(ERRORS[argument], f"asked for {argument}")
    elif command == "mode":
        server.robot_state.state["robot_mode"] = RobotMode["k" + argument]
    elif command == "object":
        hand.set_object_width(None if argument == "none" else float(argument))
    elif command == "fresh":
        hand.set_object_width(None)
        hand.width, hand.is_grasped = hand.max_width, False
        server.robot_state.state["robot_mode"] = RobotMode.kIdle
    elif command == "hang":
        server.connection_running = False
        server.client_socket.close()
    else:
        raise SystemExit(f"no command {command!r}")
    return "done"


def main() -> None:
    address, os.environ["FR3_MJCF"] = sys.argv[1:]
    log = logging.getLogger("fci_server")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except PermissionError:
        log.warning("no real-time priority: on a busy machine simulated time falls behind")
    physics.ARM_INITIAL_Q = HOME
    hand = Hand()
    server = FrankaSimServer(
        host=address, enable_gripper=False, enforce_comm_constraints=True, enforce_motion_limits=True
    )
    hand_server = HandServer(host=address, backend=hand)

    def listen() -> None:
        for line in sys.stdin:
            sys.stdout.write(obey(line, server, hand) + "\n")
            sys.stdout.flush()
        os._exit(0)  # nobody is left to ask

    threading.Thread(target=hand_server.run_server, daemon=True).start()
    threading.Thread(target=listen, daemon=True).start()
    server.start()


if __name__ == "__main__":
    main()
