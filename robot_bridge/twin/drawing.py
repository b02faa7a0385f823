"""The one thread that draws: it owns the OpenGL context, so physics and control never wait for a picture."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import mujoco
import numpy as np
import numpy.typing as npt

from robot_bridge.devices import Picture
from robot_bridge.scene.scene import Overlay, Scene
from robot_bridge.scene.textures import mix_texture
from robot_bridge.twin.gl_choice import GlChoice
from robot_bridge.twin.graphics import Renderer
from robot_bridge.twin.sensor import expose, noise_bank
from robot_bridge.twin.settings import CameraSettings
from robot_contract.pose import Vector

Result = TypeVar("Result")


class Drawing:
    def __init__(self, choice: GlChoice, width: int, height: int, noise_seed: int = 0) -> None:
        self._noise_seed = noise_seed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="twin-drawing")
        try:
            self._renderer = self._thread.submit(lambda: Renderer(choice, width, height)).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def load(self, model: mujoco.MjModel) -> None:
        """Draw this model from now on; raises what the loading raised."""
        self.submit(lambda: self._renderer.load(model)).result()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        return self._thread.submit(work)

    def picture(
        self,
        name: str,
        camera: CameraSettings,
        scene: Scene,
        position: Vector,
        *,
        gain: float,
        index: int,
        rng: np.random.Generator,
    ) -> Picture:
        """What the camera sees of this state, the `index`th of the scene; called in the drawing thread."""
        size = camera.width, camera.height
        picture = self._renderer.draw(position, name, *size, shadows=camera.shadows)
        if scene.dynamic_texture is not None:
            mask = self._renderer.movable(position, name, *size)
            picture = _mix(picture, scene.dynamic_texture, index, scene.seed, mask)
        if scene.image_noise is not None:
            picture = _mix(picture, scene.image_noise, index, scene.seed, None)
        bank = noise_bank(camera.height, camera.width, self._noise_seed)
        return expose(picture, gain=gain, noise=camera.noise, bank=bank, rng=rng)

    def close(self) -> None:
        self._thread.submit(self._renderer.close).result()
        self._thread.shutdown()


def _mix(
    picture: Picture, overlay: Overlay, frame: int, seed: int, mask: npt.NDArray[np.bool_] | None
) -> Picture:
    return mix_texture(picture, overlay.texture, overlay.strength, frame=frame, seed=seed, mask=mask)
