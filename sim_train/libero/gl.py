"""Which OpenGL draws LIBERO's pictures in this process: decided before robosuite is imported, for good.

The same choice as the twin's, so that both may draw in one process: EGL where it starts, else OSMesa. With
Mesa's software renderer the two give the same bytes. robosuite loads one even where nothing is drawn.
"""

import os
import sys

from robot_bridge.twin.gl_choice import choose_gl
from robot_contract.errors import DeviceFault, SimulationUnavailable


def settle_gl() -> str:
    """`egl` or `osmesa`."""
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    if "robosuite" in sys.modules:
        return chosen
    bound = os.environ.get("PYOPENGL_PLATFORM", "").lower()
    wanted = {chosen, bound} - {""}
    if len(wanted) > 1 or not wanted <= {"egl", "osmesa"}:
        raise SimulationUnavailable(
            f"LIBERO draws with egl or osmesa, and this process has chosen {' and '.join(sorted(wanted))}"
            f" (MUJOCO_GL={chosen}, PYOPENGL_PLATFORM={bound}); open it in a process of its own"
        )
    try:
        name = wanted.pop() if wanted else choose_gl("auto")
    except DeviceFault as fault:
        raise SimulationUnavailable(f"LIBERO needs OpenGL without a screen, as {fault}") from fault
    os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = name
    return name
