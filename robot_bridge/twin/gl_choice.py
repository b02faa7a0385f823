"""Which OpenGL draws the twin's pictures: EGL where it starts, else OSMesa; neither needs a screen or a GPU.

What is tried here is tried with ctypes, since PyOpenGL binds to one of them for good at its first import.
"""

import ctypes
import os
from functools import cache
from typing import Literal

from robot_contract.errors import DeviceFault

GlName = Literal["egl", "osmesa"]
GlChoice = Literal["auto", "egl", "osmesa"]

EGL_LIBRARY, OSMESA_LIBRARY = "libEGL.so.1", "libOSMesa.so.8"
_PLATFORM_DEVICE = 0x313F  # EGL_PLATFORM_DEVICE_EXT
_MOST_DEVICES = 16
_REMEDY = "apt-get install libegl1 libgl1-mesa-dri"


def choose_gl(choice: GlChoice) -> GlName:
    """The one to use; raises DeviceFault with the way out when there is none."""
    bound = os.environ.get("PYOPENGL_PLATFORM")
    if bound in ("egl", "osmesa"):  # this process has drawn already, or its user has decided
        if choice in ("auto", bound):
            return bound
        raise DeviceFault(
            f"this process draws with {bound} and cannot change to {choice}; gl: auto is accepted"
        )
    trouble: list[str] = []
    for name in ("egl", "osmesa"):
        if choice in ("auto", name):
            reason = why_not(name)
            if reason is None:
                return name
            trouble.append(f"{name}: {reason}")
    raise DeviceFault(
        f"the twin's cameras need OpenGL without a screen; {'; '.join(trouble)}. Install it with: {_REMEDY}"
    )


@cache
def why_not(name: GlName) -> str | None:
    """The reason why it does not start here, or None."""
    library = EGL_LIBRARY if name == "egl" else OSMESA_LIBRARY
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        return f"{library} is not installed"
    return None if name == "osmesa" or _starts(loaded) else "no device of it starts, there is no driver"


def _starts(egl: ctypes.CDLL) -> bool:
    """Some EGL device can be initialised, as MuJoCo will do it."""
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    query, display_of = (
        egl.eglGetProcAddress(name) for name in (b"eglQueryDevicesEXT", b"eglGetPlatformDisplayEXT")
    )
    if not query or not display_of:
        return False
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    devices, count = (pointer * _MOST_DEVICES)(), integer()
    query_type = ctypes.CFUNCTYPE(ctypes.c_uint, integer, pointer, pointer)
    if not query_type(query)(_MOST_DEVICES, devices, ctypes.byref(count)):
        return False
    get_display = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(display_of)
    egl.eglInitialize.argtypes = [pointer, pointer, pointer]
    for device in devices[: count.value]:
        display = get_display(_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(display, None, None):
            return True  # left initialised: it is the display that MuJoCo will be given
    return False
