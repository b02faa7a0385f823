"""A client of the simulated arm that moves it until something happens to this process.

python arm_client.py ADDRESS TRACKING

Moves along y at 0.1 m/s, says `moving`, and then obeys one line of input: `hog SECONDS` takes the interpreter
away from all of Python's threads. In the end it prints what the arm reports, and leaves without a farewell.
"""

import os
import sys
import threading
import time

from motion import sweep
from simulated_rig import open_when_free, rig_at


def hog(seconds: float) -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # the interpreter, and not the processor
    until = time.monotonic() + seconds
    sys.setswitchinterval(1e6)
    while time.monotonic() < until:
        sum(range(100_000))
    sys.setswitchinterval(0.005)


def main() -> None:
    address, tracking = sys.argv[1:]
    devices = open_when_free(rig_at(address, tracking=tracking))

    def move() -> None:
        while True:
            sweep(devices, [0.0, 0.001, 0.0], 30)
            sweep(devices, [0.0, -0.001, 0.0], 30)

    threading.Thread(target=move, daemon=True).start()
    time.sleep(0.8)
    print("moving", flush=True)
    command, _, argument = sys.stdin.readline().strip().partition(" ")
    if command == "hog":
        hog(float(argument))
        time.sleep(0.02)  # for a new state
        print(devices.arm.read().fault, flush=True)
    else:
        print(devices.arm.read().fault, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
