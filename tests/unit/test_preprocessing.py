"""From JPEG bytes to the model's pixels: TensorFlow's numbers, refusals by name, one row per robot."""

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from policy_server.golden import encode_picture, golden_observation
from policy_server.image_resampling import (
    centre_crop,
    centre_crop_matrix,
    lanczos3_matrix,
    resize_lanczos3,
)
from policy_server.model.model_input import check_input
from policy_server.model.presets import OPENVLA_OFT_7B, TINY
from policy_server.model.tokenizer import word_tokenizer
from policy_server.preprocessing import (
    Preprocessor,
    decode_picture,
    fit_picture,
    normalise_pixels,
    prompt_for,
)
from policy_server.random_checkpoint import put_on_contract, square_camera
from robot_contract.errors import WireError
from robot_contract.messages import CameraImage, Observation

GOLDEN = Path(__file__).parent / "golden"
PICTURES = ("square", "camera", "small")


@pytest.fixture(scope="module")
def tensorflow() -> dict[str, np.ndarray]:
    """What TensorFlow made of the pictures (`golden/make_image_golden.py`)."""
    with np.load(GOLDEN / "image_pipeline.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def decoded(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as picture:
        width, height = picture.size
    camera = dataclasses.replace(square_camera("external"), width=width, height=height)
    return decode_picture(CameraImage(jpeg=jpeg, width=width, height=height, exposed_at=0.0), camera)


@pytest.mark.parametrize("name", PICTURES)
def test_decoding_a_jpeg_is_bit_for_bit_tensorflows(name: str, tensorflow: dict[str, np.ndarray]) -> None:
    picture = decoded(tensorflow[f"{name}/jpeg"].tobytes())
    assert hashlib.sha256(picture.tobytes()).hexdigest() == str(tensorflow[f"{name}/decoded_sha256"])


@pytest.mark.parametrize("name", PICTURES)
def test_encoding_with_pillow_decodes_to_the_pixels_that_training_saw(
    name: str, tensorflow: dict[str, np.ndarray]
) -> None:
    """The bridge encodes: quality 95, 4:2:0, slow DCT, as Pillow and OpenCV do."""
    encoded = io.BytesIO()
    with Image.open(GOLDEN / f"image_{name}.png") as picture:
        picture.save(encoded, "JPEG", quality=95, subsampling=2)
    reference = decoded(tensorflow[f"{name}/jpeg"].tobytes())
    np.testing.assert_array_equal(decoded(encoded.getvalue()), reference)


@pytest.mark.parametrize("name", PICTURES)
def test_resizing_and_cropping_stay_within_one_level_of_tensorflow(
    name: str, tensorflow: dict[str, np.ndarray]
) -> None:
    picture = torch.from_numpy(decoded(tensorflow[f"{name}/jpeg"].tobytes()))[None]
    resized = resize_lanczos3(picture, 224)
    for ours, theirs in (
        (resized, tensorflow[f"{name}/resized_rows"]),
        (centre_crop(resized, 0.9), tensorflow[f"{name}/cropped_rows"]),
    ):
        difference = np.abs(ours[0, ::4].numpy().astype(int) - theirs)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 2e-4


def test_other_resamplers_are_noticed(tensorflow: dict[str, np.ndarray]) -> None:
    """The comparison above can fail: Pillow's bicubic is more than one level away all over the picture."""
    picture = Image.fromarray(decoded(tensorflow["camera/jpeg"].tobytes()))
    theirs = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC))[::4].astype(int)
    assert (np.abs(theirs - tensorflow["camera/resized_rows"]) > 1).mean() > 2e-4


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    picture = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    assert torch.equal(centre_crop(resize_lanczos3(picture, 96), 1.0), picture)


@pytest.mark.parametrize("source", [64, 96, 224, 256, 480])
def test_each_resampled_pixel_is_a_weighted_mean(source: int) -> None:
    ones = torch.ones(224, dtype=torch.float64)
    torch.testing.assert_close(lanczos3_matrix(source, 224).sum(dim=1), ones, rtol=0, atol=1e-6)
    torch.testing.assert_close(centre_crop_matrix(224, 0.9).sum(dim=1), ones, rtol=0, atol=1e-12)


def test_the_crop_keeps_ninety_percent_of_the_area() -> None:
    matrix = centre_crop_matrix(224, 0.9)
    columns = torch.arange(224, dtype=torch.float64)
    first, last = (matrix[row] @ columns for row in (0, -1))
    assert float((last - first) / 223) == pytest.approx(0.9**0.5, abs=1e-6)
    assert float(first + last) == pytest.approx(223, abs=1e-3)


def test_means_and_deviations_are_those_of_the_model_file_in_float32() -> None:
    picture = torch.full((1, 2, 2, 3), 200, dtype=torch.uint8)
    pixels = normalise_pixels(picture, OPENVLA_OFT_7B.towers)
    assert pixels.shape == (1, 6, 2, 2)
    unit = np.float32(200) / np.float32(255)
    dino = (unit - np.float32([0.484375, 0.455078125, 0.40625])) / np.float32(
        [0.228515625, 0.2236328125, 0.224609375]
    )
    np.testing.assert_array_equal(pixels[0, :3, 0, 0].numpy(), dino)
    np.testing.assert_array_equal(pixels[0, 3:, 0, 0].numpy(), np.float32([(unit - 0.5) / 0.5] * 3))


def preprocessor(*cameras: str) -> Preprocessor:
    contract = put_on_contract(
        name="p", cameras=tuple(square_camera(name, wrist=name == "wrist") for name in cameras), provenance=""
    )
    config = dataclasses.replace(TINY, cameras=len(cameras))
    tokenizer = word_tokenizer(["put the red cube on the white plate"], config.tokens)
    return Preprocessor(contract, config, tokenizer)


def observation(*cameras: str) -> Observation:
    return golden_observation(
        put_on_contract(name="p", cameras=tuple(square_camera(name) for name in cameras), provenance="")
    )


def test_a_batch_is_its_observations_one_by_one() -> None:
    prepare = preprocessor("external", "wrist").prepare
    first = observation("external", "wrist")
    second = dataclasses.replace(
        first,
        instruction="put the cube on the plate",
        gripper_width=0.0,
        images=dict(reversed(first.images.items())),
    )
    both = prepare([first, second])
    for row, alone in enumerate((prepare([first]), prepare([second]))):
        length = alone.tokens.shape[1]
        assert torch.equal(both.pixels[row], alone.pixels[0])
        assert torch.equal(both.tokens[row, :length], alone.tokens[0])
        assert not both.mask[row, length:].any()
        assert both.proprio is not None
        assert alone.proprio is not None
        assert torch.equal(both.proprio[row], alone.proprio[0])


def test_cameras_stand_in_the_contracts_order_whatever_the_messages() -> None:
    x = preprocessor("wrist", "external").prepare([observation("external", "wrist")])
    swapped = preprocessor("external", "wrist").prepare([observation("external", "wrist")])
    assert torch.equal(x.pixels[:, 0], swapped.pixels[:, 1])
    assert not torch.equal(x.pixels[:, 0], x.pixels[:, 1])


def test_a_missing_or_foreign_camera_is_refused_with_both_lists() -> None:
    with pytest.raises(WireError, match=r"expected those of \['external', 'wrist'\], found \['external'\]"):
        preprocessor("external", "wrist").decode(observation("external"))


def jpeg_of(height: int, width: int) -> bytes:
    return encode_picture(np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("jpeg", "sentence"),
    [
        (b"", "found bytes that are none"),
        (b"\x89PNG\r\n", "found bytes that are none"),
        (jpeg_of(96, 97), "expected 96 x 96 px, found 97 x 96"),
        (jpeg_of(96, 96)[:-40], "found a damaged one"),
    ],
)
def test_a_wrong_picture_is_refused_by_name(jpeg: bytes, sentence: str) -> None:
    image = CameraImage(jpeg=jpeg, width=96, height=96, exposed_at=0.0)
    with pytest.raises(WireError, match=rf"images\[external\]: .*{sentence}"):
        decode_picture(image, square_camera("external"))


def test_a_large_picture_is_refused_before_it_is_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy_server.preprocessing.simplejpeg.decode_jpeg", None)
    image = CameraImage(jpeg=jpeg_of(4000, 4000), width=96, height=96, exposed_at=0.0)
    with pytest.raises(WireError, match="found 4000 x 4000"):
        decode_picture(image, square_camera("external"))


def test_a_grey_picture_is_refused() -> None:
    encoded = io.BytesIO()
    Image.new("L", (96, 96)).save(encoded, "JPEG")
    image = CameraImage(jpeg=encoded.getvalue(), width=96, height=96, exposed_at=0.0)
    with pytest.raises(WireError, match="expected a colour JPEG"):
        decode_picture(image, square_camera("external"))


def test_an_instruction_too_long_for_the_model_is_refused_alone() -> None:
    prepare = preprocessor("external")
    long = dataclasses.replace(observation("external"), instruction="xyzzy " * 400)
    with pytest.raises(WireError, match=r"instruction: expected a prompt of at most \d+ tokens, found \d+"):
        prepare.decode(long)
    longest = dataclasses.replace(long, instruction="xyzzy " * 60)
    check_input(prepare.prepare([longest]), dataclasses.replace(TINY, cameras=1))


def test_the_prompt_is_lower_case_and_filled_once() -> None:
    template = "In: What action should the robot take to {instruction}?\nOut:"
    filled = prompt_for("Put {instruction} in the Bowl", template)
    assert filled == "In: What action should the robot take to put {instruction} in the bowl?\nOut:"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("source", [(96, 96), (256, 256), (240, 320)])
def test_a_gpu_resizes_and_crops_to_the_same_levels(source: tuple[int, int]) -> None:
    picture = torch.randint(0, 256, (2, *source, 3), dtype=torch.uint8)
    here = fit_picture(picture, 224, 0.9)
    there = fit_picture(picture.to("cuda"), 224, 0.9).cpu()
    assert (here != there).float().mean() <= 1e-5
