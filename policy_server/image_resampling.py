"""Resize and crop pictures as matrix products that give what TensorFlow gives, without TensorFlow.

One matrix per axis, computed once per size and device; products run in float64, so that a CPU and a GPU
round alike. Rounding is part of the promise: it stands where the training pipelines of OpenVLA round.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

LANCZOS_RADIUS = 3.0


def lanczos3_matrix(source: int, target: int) -> Tensor:
    """(target, source): the kernel widens with the shrink factor; float32 steps, as TensorFlow's."""
    f32 = np.float32
    shrink = f32(source) / f32(target)
    kernel_scale = max(shrink, f32(1.0))
    centre = (np.arange(target, dtype=np.float32)[:, None] + f32(0.5)) * shrink
    position = np.arange(source, dtype=np.float32)[None] + f32(0.5) - centre
    weights = _lanczos3(np.abs(position) / kernel_scale)
    weights /= weights.sum(axis=1, keepdims=True)
    return torch.from_numpy(weights.astype(np.float64))


def _lanczos3(x: np.ndarray) -> np.ndarray:
    safe = np.where(x <= 1e-3, 1.0, x)
    pi = np.float32(math.pi)
    kernel = LANCZOS_RADIUS * np.sin(pi * safe) * np.sin(pi * safe / LANCZOS_RADIUS) / (pi * pi * safe * safe)
    return np.where(x > LANCZOS_RADIUS, 0.0, np.where(x <= 1e-3, 1.0, kernel)).astype(np.float32)


def centre_crop_matrix(size: int, area: float) -> Tensor:
    """(size, size): the middle `area` of a square picture, bilinearly enlarged back, corners on corners."""
    f32 = np.float32
    side = np.sqrt(f32(area))
    start, end = (f32(1.0) - side) / f32(2.0), (f32(1.0) - side) / f32(2.0) + side
    step = (end - start) * f32(size - 1) / f32(size - 1)
    position = start * f32(size - 1) + np.arange(size, dtype=np.float32) * step
    low = np.floor(position).astype(np.int64)
    fraction = (position - low.astype(np.float32)).astype(np.float64)
    weights = np.zeros((size, size))
    rows = np.arange(size)
    weights[rows, low] = 1.0 - fraction
    weights[rows, np.minimum(low + 1, size - 1)] += fraction
    return torch.from_numpy(weights)


@cache
def _on(device: torch.device, matrix_of: Callable[..., Tensor], *arguments: float) -> Tensor:
    return matrix_of(*arguments).to(device)


def _both_axes(picture_BHWC: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    exact = picture_BHWC.to(torch.float64)
    tall = torch.einsum("th,bhwc->btwc", rows, exact)
    return torch.einsum("sw,btwc->btsc", columns, tall)


def resize_lanczos3(picture_BHWC: Tensor, size: int) -> Tensor:
    """Resize uint8 pictures to a square of `size`, rounded half to even as `tf.round` does."""
    _, height, width, _ = picture_BHWC.shape
    if (height, width) == (size, size):
        return picture_BHWC
    device = picture_BHWC.device
    rows, columns = (_on(device, lanczos3_matrix, source, size) for source in (height, width))
    smooth = _both_axes(picture_BHWC, rows, columns)
    return smooth.round().clamp(0, 255).to(torch.uint8)


def centre_crop(picture_BHWC: Tensor, area: float) -> Tensor:
    """Keep the middle `area` of square uint8 pictures and enlarge it to the old size.

    The result is cut, not rounded, from v * 255.5 / 255: that is how `tf.image.convert_image_dtype` returns
    to uint8.
    """
    if area == 1.0:
        return picture_BHWC
    matrix = _on(picture_BHWC.device, centre_crop_matrix, picture_BHWC.shape[1], area)
    smooth = _both_axes(picture_BHWC, matrix, matrix)
    return (smooth * (255.5 / 255.0)).clamp(0, 255).to(torch.uint8)
