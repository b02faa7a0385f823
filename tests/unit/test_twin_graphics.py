"""Which OpenGL draws: EGL, else OSMesa, else a sentence that says what to install."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from robot_bridge.twin import gl_choice
from robot_bridge.twin.gl_choice import choose_gl, why_not
from robot_contract.errors import DeviceFault


@pytest.fixture(autouse=True)
def unbound(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PYOPENGL_PLATFORM", raising=False)
    why_not.cache_clear()
    yield
    why_not.cache_clear()


def test_egl_comes_first() -> None:
    assert choose_gl("auto") == "egl"


def test_osmesa_comes_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl_choice, "EGL_LIBRARY", "libNoEGL.so.1")
    monkeypatch.setattr(gl_choice, "OSMESA_LIBRARY", "libc.so.6")  # any library that is there
    assert choose_gl("auto") == "osmesa"


def test_without_either_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl_choice, "EGL_LIBRARY", "libNoEGL.so.1")
    monkeypatch.setattr(gl_choice, "OSMESA_LIBRARY", "libNoOSMesa.so.8")
    with pytest.raises(DeviceFault, match="apt-get install libegl1 libgl1-mesa-dri") as raised:
        choose_gl("auto")
    assert "libNoEGL.so.1 is not installed" in str(raised.value)
    assert "libNoOSMesa.so.8 is not installed" in str(raised.value)
    with pytest.raises(DeviceFault, match="libNoEGL"):
        choose_gl("egl")


def test_egl_without_a_driver_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl_choice, "_starts", lambda egl: False)
    monkeypatch.setattr(gl_choice, "OSMESA_LIBRARY", "libNoOSMesa.so.8")
    with pytest.raises(DeviceFault, match="there is no driver"):
        choose_gl("auto")


def test_a_process_stays_with_what_it_has_drawn_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")
    assert choose_gl("auto") == "egl"
    with pytest.raises(DeviceFault, match="cannot change to osmesa"):
        choose_gl("osmesa")


def test_osmesa_draws_as_well() -> None:
    if (reason := why_not("osmesa")) is not None:
        pytest.skip(f"OSMesa is not here: {reason}")
    program = """
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.world import TwinWorld
with TwinWorld(draw_scene("train", 3), TwinSettings(clock="stepped", gl="osmesa")) as world:
    print(world.cameras["external"].latest().picture.std() > 15)
"""
    # tests before this one may have chosen how this process draws
    fresh = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, env=fresh
    )
    assert answer.stdout.strip() == "True", answer.stderr
