"""Draw the pictures of docs/scene.md: every object, every receptacle, and scenes of each axis.

python benchmarks/scene_pictures.py [--out docs/images/objects]
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from robot_bridge.devices import Picture
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.scene import CameraOffset, Light, Placement, Scene, StartPose
from robot_bridge.scene.splits import AXES, axis_of, draw_scene
from robot_bridge.scene.textures import SEEN_TABLES, UNSEEN_TABLES, draw_texture
from robot_bridge.twin.cell import build_cell
from robot_bridge.twin.graphics import Renderer
from robot_bridge.twin.settings import CameraSettings, TwinSettings, looking_at
from robot_bridge.twin.world import TwinWorld

PORTRAIT = (180, 150)  # [px]
SCENE_PICTURE = (256, 192)  # [px]
OVERSAMPLING = 4
STILL = CameraOffset(translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))


def portrait_scene(thing: str, *, is_object: bool) -> Scene:
    """The thing alone in the middle; what a scene needs besides stands out of the picture."""
    here = Placement(name=thing, x=0.50, y=0.0, yaw=-0.45 if is_object else 0.25)
    away = Placement(name="white_plate" if is_object else "toy_block", x=0.26, y=0.40, yaw=0.0)
    objects, receptacles = ((here,), (away,)) if is_object else ((away,), (here,))
    return Scene(
        split="custom",
        seed=0,
        instruction="portrait",
        target_object=objects[0].name,
        target_receptacle=receptacles[0].name,
        objects=objects,
        receptacles=receptacles,
        start=StartPose(x=0.36, y=0.0, z=0.26, yaw=0.0),
        move=None,
        table_texture="grey_laminate",
        light=Light(azimuth=0.7, elevation=1.0, intensity=1.05, ambient=0.45, warmth=0.0),
        external_camera=STILL,
        wrist_camera=STILL,
        dynamic_texture=None,
        image_noise=None,
    )


def portrait(scene: Scene, height: float, field_of_view: float) -> Picture:
    width_px, height_px = (OVERSAMPLING * side for side in PORTRAIT)
    camera = CameraSettings(
        mount="base",
        mount_from_camera=looking_at((0.86, 0.22, 0.36), (0.50, 0.0, height)),
        width=width_px,
        height=height_px,
        vertical_field_of_view=field_of_view,
    )
    model = build_cell(scene, {"portrait": camera})
    position = np.array(mujoco.MjData(model).qpos)
    position[:7] = [np.pi, -0.8, 0.0, -2.4, 0.0, 1.6, 0.8]  # the arm turned away
    renderer = Renderer("auto", width_px, height_px)
    model.vis.quality.shadowsize = 4096
    renderer.load(model)
    picture = renderer.draw(position, "portrait", width_px, height_px, shadows=True)
    renderer.close()
    return shrink(picture, PORTRAIT)


def shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX))


def scene_picture(scene: Scene) -> Picture:
    """What the external camera sees at the start, overlays included, the sensor's noise left out."""
    settings = TwinSettings()
    width, height = 2 * SCENE_PICTURE[0], 2 * SCENE_PICTURE[1]
    camera = replace(settings.cameras["external"], width=width, height=height, noise=0.0, gain_drift=0.0)
    with TwinWorld(scene, TwinSettings(clock="stepped", cameras={"external": camera})) as world:
        frame = world.cameras["external"].latest()
        assert frame is not None
        return shrink(frame.picture, SCENE_PICTURE)


def sheet(pictures: Sequence[tuple[str, Picture]], columns: int, path: Path) -> None:
    """Captioned pictures in rows."""
    height, width = pictures[0][1].shape[:2]
    caption, gap = 15 * (1 + max(title.count("\n") for title, _ in pictures)), 4
    rows = -(-len(pictures) // columns)
    page = Image.new(
        "RGB", (columns * (width + gap) + gap, rows * (height + caption + gap) + gap), (250, 250, 250)
    )
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for number, (title, picture) in enumerate(pictures):
        x = gap + (number % columns) * (width + gap)
        y = gap + (number // columns) * (height + caption + gap)
        page.paste(Image.fromarray(picture), (x, y + caption))
        draw.text((x + 2, y + 1), title, fill=(30, 30, 30), font=font)
    page.save(path, optimize=True)
    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def draw_things(out: Path) -> None:
    known = catalogue()
    objects = [
        (
            f"{thing.noun}{'' if thing.seen else ' (unseen)'}",
            portrait(portrait_scene(name, is_object=True), 0.032, 0.30),
        )
        for name, thing in known.objects.items()
    ]
    sheet(objects, 5, out / "objects.png")
    receptacles = [
        (
            f"{thing.noun}{'' if thing.seen else ' (unseen)'}",
            portrait(portrait_scene(name, is_object=False), 0.01, 0.52),
        )
        for name, thing in known.receptacles.items()
    ]
    sheet(receptacles, 4, out / "receptacles.png")
    tables = [(name, draw_texture(name, size=72)) for name in (*SEEN_TABLES, *UNSEEN_TABLES)]
    sheet(tables, 8, out / "tables.png")


def draw_axes(out: Path) -> None:
    for axis, members in AXES.items():
        splits = members if axis != "train" else ("train",) * 4
        scenes = [draw_scene(split, 3 + number) for number, split in enumerate(splits)]
        titled = [(_title(scene), scene_picture(scene)) for scene in scenes]
        if axis == "execution":
            moved = scenes[-1]
            assert moved.move is not None
            after = replace(
                moved,
                objects=tuple(moved.move.to if p.name == moved.move.to.name else p for p in moved.objects),
            )
            titled.append((f"mid_episode_move\nfrom {moved.move.after:.1f} s on", scene_picture(after)))
        sheet(titled, 4 if len(titled) != 6 else 3, out / f"axis_{axis}.png")


def _title(scene: Scene) -> str:
    return scene.instruction if axis_of(scene.split) == scene.split else f"{scene.split}\n{scene.instruction}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/objects"))
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    draw_things(out)
    draw_axes(out)


if __name__ == "__main__":
    main()
