"""Make `image_pipeline.npz` and its pictures with TensorFlow, which the project itself never needs.

    pip install .[oracles]
    python tests/unit/golden/make_image_golden.py

The pipeline is the one that OpenVLA-OFT was trained and evaluated with: JPEG quality 95 there and back,
Lanczos-3 with antialias to 224 px, rounded; the middle 90 % by area enlarged back bilinearly.
"""

import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
SIZE = 224
CROP_AREA = 0.9
ROW_STEP = 4  # every fourth row is kept, so that the files stay small
PICTURES = {"square": (256, 256), "camera": (240, 320), "small": (96, 96)}


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth ground, hard edges, a little texture: what a table in front of a camera looks like."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    ground = np.stack([190 - 80 * y, 160 - 60 * x, 120 + 90 * x * y], axis=-1)
    for _ in range(8):
        centre, radius = random.uniform(0.1, 0.9, size=2), random.uniform(0.03, 0.15)
        ground[np.hypot(y - centre[0], x - centre[1]) < radius] = random.uniform(0, 255, size=3)
    ground[(np.floor(x * 40) + np.floor(y * 40)) % 2 == 0] *= 0.93
    return np.clip(ground, 0, 255).astype(np.uint8)


def pipeline(jpeg: bytes) -> dict[str, np.ndarray]:
    decoded = tf.io.decode_image(jpeg, expand_animations=False, dtype=tf.uint8)
    resized = tf.image.resize(decoded, (SIZE, SIZE), method="lanczos3", antialias=True)
    resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    side = tf.clip_by_value(tf.sqrt(tf.constant([CROP_AREA])), 0, 1)
    offset = (1 - side) / 2
    boxes = tf.stack([offset, offset, offset + side, offset + side], axis=1)
    unit = tf.image.convert_image_dtype(resized, tf.float32)[None]
    cropped = tf.image.crop_and_resize(unit, boxes, tf.range(1), (SIZE, SIZE))[0]
    cropped = tf.image.convert_image_dtype(tf.clip_by_value(cropped, 0, 1), tf.uint8, saturate=True)
    digest = hashlib.sha256(decoded.numpy().tobytes()).hexdigest()
    rows = slice(None, None, ROW_STEP)
    return {
        "decoded_sha256": np.array(digest),
        "resized_rows": resized.numpy()[rows],
        "cropped_rows": cropped.numpy()[rows],
    }


def main() -> None:
    arrays: dict[str, np.ndarray] = {"tensorflow": np.array(tf.__version__)}
    for seed, (name, (height, width)) in enumerate(PICTURES.items()):
        original = picture(height, width, seed)
        (HERE / f"image_{name}.png").write_bytes(tf.io.encode_png(original, compression=9).numpy())
        jpeg = tf.io.encode_jpeg(original).numpy()
        arrays[f"{name}/jpeg"] = np.frombuffer(jpeg, np.uint8)
        arrays |= {f"{name}/{key}": value for key, value in pipeline(jpeg).items()}
    np.savez_compressed(HERE / "image_pipeline.npz", **arrays)


if __name__ == "__main__":
    main()
