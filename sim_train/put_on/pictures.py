"""From what is drawn to what a camera delivers: the scene's disturbances, gain, noise, resizing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from robot_bridge.scene.scene import Scene
from robot_bridge.scene.textures import mix_texture
from robot_bridge.twin.sensor import expose, noise_bank
from sim_train.simulation import Picture

_NOISE, _GAIN_DRIFT = 2.0, 0.02  # as the twin's cameras: grey levels, and share


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    picture: Picture
    things: npt.NDArray[np.bool_] | None  # where arm, objects and receptacles are; None when nobody asked


class Sensor:
    """The pictures of one episode; what is random in them is a function of the scene and their number."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._count = 0

    def expose(self, drawn: Mapping[str, Drawn], *, size: int) -> dict[str, Picture]:
        scene, number = self._scene, self._count
        self._count += 1
        pictures: dict[str, Picture] = {}
        for name, one in drawn.items():
            rng = np.random.default_rng([scene.seed, number, *name.encode()])
            picture = one.picture
            if (over := scene.dynamic_texture) is not None and one.things is not None:
                picture = mix_texture(
                    picture, over.texture, over.strength, frame=number, seed=scene.seed, mask=one.things
                )
            if (over := scene.image_noise) is not None:
                picture = mix_texture(picture, over.texture, over.strength, frame=number, seed=scene.seed)
            gain = 1.0 + _GAIN_DRIFT * float(np.clip(rng.standard_normal(), -2, 2))
            bank = noise_bank(*picture.shape[:2], 0)
            pictures[name] = _resized(expose(picture, gain=gain, noise=_NOISE, bank=bank, rng=rng), size)
        return pictures


def _resized(picture: Picture, size: int) -> Picture:
    """By the filter with which the bridge brings a camera's picture to the contract's size."""
    if picture.shape[:2] == (size, size):
        return picture
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))
