"""Pictures of a MuJoCo model without a display: which OpenGL is used, and a renderer for one thread."""

import importlib
import os
from typing import Any, Protocol

import mujoco
import numpy as np

from robot_bridge.devices import Picture
from robot_bridge.twin.gl_choice import GlChoice, choose_gl
from robot_contract.pose import Vector

_SLICES, _STACKS = 20, 12  # facets of round shapes: pictures cost by vertices
_MAX_GEOMS = 2000


class _GlContext(Protocol):
    def make_current(self) -> None: ...
    def free(self) -> None: ...


def _open_context(choice: GlChoice, width: int, height: int) -> _GlContext:
    name = choose_gl(choice)
    # PyOpenGL binds to one of them per process, at its first import.
    os.environ.setdefault("PYOPENGL_PLATFORM", name)
    # Mesa's software rasteriser: several threads wait for each other on a busy machine and gain nothing here.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    return importlib.import_module(f"mujoco.{name}").GLContext(width, height)


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
