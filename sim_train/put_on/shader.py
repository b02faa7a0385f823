"""SAPIEN's small shader without the table of reflections that lavapipe takes 12 seconds to compute.

A copy is made from the installed files at run time. These scenes have no environment map, and without one the
pictures are the same bit for bit; with one they would not be.
"""

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import sapien
from mani_skill.render.shaders import PREBUILT_SHADER_CONFIGS, ShaderConfig

_READ = re.compile(r"texture\(\s*samplerBRDFLUT\s*,[^;]*?\)\)?\.xy")
_DECLARATION = re.compile(r"^.*uniform\s+sampler2D\s+samplerBRDFLUT\s*;.*$", re.MULTILINE)


def quick_shader() -> ShaderConfig:
    """ManiSkill's `minimal` with the patched files; a camera of it is ready in 0.1 s."""
    minimal = PREBUILT_SHADER_CONFIGS["minimal"]
    # ManiSkill sets these for the pack's own name alone.
    sapien.render.set_picture_format("Color", "r8g8b8a8unorm")
    sapien.render.set_picture_format("ColorRaw", "r8g8b8a8unorm")
    sapien.render.set_picture_format("PositionSegmentation", "r16g16b16a16sint")
    return ShaderConfig(
        shader_pack=str(_patched_folder()),
        texture_names=minimal.texture_names,
        texture_transforms=minimal.texture_transforms,
    )


@cache
def _patched_folder() -> Path:
    """Made once per process, gone when it ends."""
    installed = Path(sapien.__file__).parent / "vulkan_shader"
    made = Path(tempfile.mkdtemp(prefix="touchdown-shader-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    shutil.copytree(installed / "common", made / "common")
    shutil.copytree(installed / "minimal", made / "minimal")
    reads = 0
    for source in (made / "minimal").glob("*.frag"):
        patched, count = without_reflection_table(source.read_text(encoding="utf-8"))
        source.write_text(patched, encoding="utf-8")
        reads += count
    if not reads:
        raise RuntimeError("SAPIEN's shader reads no reflection table: this patch was written for 3.0.3")
    return made / "minimal"


def without_reflection_table(source: str) -> tuple[str, int]:
    """A fragment shader with a constant where the table was read, and how often that was."""
    patched, reads = _READ.subn("vec2(1.0, 0.0)", source)
    return _DECLARATION.sub("", patched), reads
