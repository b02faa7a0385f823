"""What is refused before it is decoded."""

import io

import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from policy_server.admission import jpeg_size


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("width", "height"), [(16, 16), (96, 64), (256, 256), (33, 77)])
def test_the_size_is_what_the_decoder_says(width: int, height: int, progressive: bool) -> None:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG", progressive=progressive)
    jpeg = file.getvalue()
    assert jpeg_size(jpeg) == (width, height)
    assert simplejpeg.decode_jpeg_header(jpeg)[:2] == (height, width)
    comment = b"\xff\xfe" + (7).to_bytes(2, "big") + b"hello"
    assert jpeg_size(jpeg[:2] + comment + b"\xff" + jpeg[2:]) == (width, height)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_end_in_a_size_or_none(data: bytes) -> None:
    size = jpeg_size(b"\xff\xd8" + data)
    assert size is None or len(size) == 2
