"""Which OpenGL draws LIBERO's pictures in this process: decided before robosuite is imported, for good.

Mesa's OSMesa and its EGL give the same bytes here; OSMesa comes first, since several processes that draw with
EGL's threads get in each other's way. A process that draws with EGL already (the twin does) stays with it.
"""

import os
import sys

from robot_bridge.twin.gl_choice import why_not
from robot_contract.errors import SimulationUnavailable

_NAMES = ("osmesa", "egl")


def settle_gl() -> str:
    """`osmesa`, `egl`, or `disabled` where neither is installed: everything but pictures works then."""
    wanted = {os.environ.get(name, "").lower() for name in ("PYOPENGL_PLATFORM", "MUJOCO_GL")} - {""}
    if "robosuite" in sys.modules:
        return os.environ.get("MUJOCO_GL", "")
    if len(wanted) > 1 or not wanted <= {*_NAMES, "disabled"}:
        raise SimulationUnavailable(
            f"LIBERO draws with one of {', '.join(_NAMES)}, and this process has chosen"
            f" {' and '.join(sorted(wanted))} (MUJOCO_GL, PYOPENGL_PLATFORM): open it in a process of its own"
        )
    name = wanted.pop() if wanted else next((n for n in _NAMES if why_not(n) is None), "disabled")
    os.environ["MUJOCO_GL"] = name
    if name != "disabled":
        os.environ["PYOPENGL_PLATFORM"] = name
    return name
