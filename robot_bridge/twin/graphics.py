"""Pictures of a MuJoCo model without a display: which OpenGL is used, and a renderer for one thread.

EGL is tried first, then OSMesa; neither needs a screen, a GPU or a variable of the environment.
"""

import ctypes
import importlib
import os
from typing import Any, Literal, Protocol, cast

import mujoco
import numpy as np

from robot_bridge.devices import Picture
from robot_contract.errors import DeviceFault
from robot_contract.pose import Vector

GlChoice = Literal["auto", "egl", "osmesa"]
_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
_SLICES, _STACKS = 20, 12  # facets of round shapes: pictures cost by vertices
_MAX_GEOMS = 2000


class _GlContext(Protocol):
    def make_current(self) -> None: ...
    def free(self) -> None: ...


def _is_loadable(name: str) -> bool:
    try:
        ctypes.CDLL(_LIBRARIES[name])
    except OSError:
        return False
    return True


def choose_gl(choice: GlChoice) -> str:
    """Which of egl and osmesa to use; raises DeviceFault with the way out when neither is installed."""
    # PyOpenGL binds to one of them per process, and may have done so already.
    bound = os.environ.get("PYOPENGL_PLATFORM", "")
    wanted = [bound] if bound in _LIBRARIES else list(_LIBRARIES)
    if choice != "auto":
        wanted = [choice]
    for name in wanted:
        if _is_loadable(name):
            return name
    raise DeviceFault(
        "the twin's cameras need OpenGL without a screen: looked for"
        f" {' and '.join(_LIBRARIES[name] for name in wanted)}, found none."
        " Install it with: apt-get install libegl1 libgl1-mesa-dri"
    )


def _open_context(choice: GlChoice, width: int, height: int) -> _GlContext:
    name = choose_gl(choice)
    if name == "osmesa":
        os.environ.setdefault("PYOPENGL_PLATFORM", "osmesa")  # read once, by PyOpenGL's first import
    # Mesa's software rasteriser: several threads wait for each other on a busy machine and gain nothing here.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        module = importlib.import_module(f"mujoco.{name}")
        return cast(_GlContext, module.GLContext(width, height))
    except (ImportError, RuntimeError, AttributeError) as error:
        raise DeviceFault(
            f"the twin's cameras need OpenGL without a screen: {name} is installed but does not start"
            f" ({error}). Install a driver with: apt-get install libegl1 libgl1-mesa-dri"
        ) from error


def tune_for_speed(model: mujoco.MjModel, width: int, height: int) -> None:
    """Set what the renderer's context takes from the model: facets, buffer size, no multisampling."""
    quality = model.vis.quality
    quality.numslices, quality.numstacks, quality.offsamples = _SLICES, _STACKS, 0
    window = model.vis.global_
    window.offwidth = max(window.offwidth, width)
    window.offheight = max(window.offheight, height)


class Renderer:
    """Draws one model; made, used and closed in one thread."""

    def __init__(self, choice: GlChoice, width: int, height: int) -> None:
        self._gl = _open_context(choice, width, height)
        self._gl.make_current()
        self._context: mujoco.MjrContext | None = None
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._size = (width, height)

    def load(self, model: mujoco.MjModel) -> None:
        """Draw this model from now on."""
        tune_for_speed(model, *self._size)
        if self._context is not None:
            self._context.free()
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._model, self._data = model, mujoco.MjData(model)
        self._scene = mujoco.MjvScene(model, _MAX_GEOMS)

    def draw(
        self,
        position: Vector,
        camera: str | mujoco.MjvCamera,
        width: int,
        height: int,
        *,
        shadows: bool = False,
        segments: bool = False,
    ) -> Picture:
        """Picture of the generalised position as the camera sees it, rows from the top."""
        model, data, scene = self._model, self._data, self._scene
        data.qpos[:] = position
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        if isinstance(camera, str):
            self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._camera.fixedcamid = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
            camera = self._camera
        mujoco.mjv_updateScene(model, data, self._option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene)
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = int(shadows)
        scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = int(segments)
        scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = int(segments)
        rectangle = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rectangle, scene, self._context)
        picture = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, rectangle, self._context)
        return picture[::-1]

    def movable(
        self, position: Vector, camera: str, width: int, height: int
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Where the picture shows the arm or a thing, not the table or the room."""
        codes = self.draw(position, camera, width, height, segments=True).astype(np.int32)
        code = codes[..., 0] + (codes[..., 1] << 8) + (codes[..., 2] << 16)
        model, scene = self._model, self._scene
        is_movable = np.zeros(scene.ngeom + 1, dtype=bool)
        for geom in scene.geoms[: scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                is_movable[geom.segid + 1] = model.geom_bodyid[geom.objid] != 0
        return is_movable[code]

    def close(self) -> None:
        if self._context is not None:
            self._context.free()
            self._context = None
        self._gl.free()
