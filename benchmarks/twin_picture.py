"""Draw docs/images/twin.png: the twin at work, and what its two cameras see at that moment.

python benchmarks/twin_picture.py [--out docs/images/twin.png]
"""

import argparse
from dataclasses import replace
from pathlib import Path

from PIL import Image

from robot_bridge.devices import Picture
from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.scene import CameraOffset, Light, Placement, Scene, StartPose
from robot_bridge.scene.success import Stage
from robot_bridge.twin.expert_trial import carry_out
from robot_bridge.twin.settings import CameraSettings, TwinSettings, looking_at
from robot_bridge.twin.studio import shrink
from robot_bridge.twin.world import TwinWorld

SIZE = (1000, 640)  # [px]
INSET = (264, 198)  # [px]
MARGIN, BORDER = 16, 3  # [px]
OVERSAMPLING = 3
STILL = CameraOffset(translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))

SCENE = Scene(
    split="custom",
    seed=1,
    instruction="put the apple in the blue bowl",
    target_object="apple",
    target_receptacle="blue_bowl",
    objects=(
        Placement(name="apple", x=0.44, y=0.10, yaw=0.3),
        Placement(name="milk_carton", x=0.56, y=0.26, yaw=0.6),
        Placement(name="soup_can", x=0.67, y=0.17, yaw=2.2),
        Placement(name="rubber_duck", x=0.66, y=0.02, yaw=-0.5),
        Placement(name="banana", x=0.40, y=0.27, yaw=2.2),
        Placement(name="mug", x=0.44, y=-0.33, yaw=0.9),
        Placement(name="toy_block", x=0.33, y=-0.05, yaw=0.4),
    ),
    receptacles=(Placement(name="blue_bowl", x=0.52, y=-0.14, yaw=0.0),),
    start=StartPose(x=0.36, y=0.0, z=0.26, yaw=0.0),
    move=None,
    table_texture="oak",
    light=Light(azimuth=-0.9, elevation=1.0, intensity=1.05, ambient=0.42, warmth=0.15),
    external_camera=STILL,
    wrist_camera=STILL,
    dynamic_texture=None,
    image_noise=None,
)


def portrait_camera() -> CameraSettings:
    return CameraSettings(
        mount="base",
        mount_from_camera=looking_at((1.56, -0.92, 0.86), (0.30, -0.10, 0.265)),
        width=OVERSAMPLING * SIZE[0],
        height=OVERSAMPLING * SIZE[1],
        vertical_field_of_view=0.56,
        latency=0.0,
        latency_jitter=0.0,
        gain_drift=0.0,
        noise=0.0,
        shadows=True,
    )


def latest(world: TwinWorld, name: str) -> Picture:
    frame = world.cameras[name].latest()
    assert frame is not None
    return frame.picture


def at_work() -> dict[str, Picture]:
    """Pictures of the moment in which the apple is over the bowl."""
    settings = TwinSettings(clock="stepped")
    cameras = {name: replace(camera, latency=0.0) for name, camera in settings.cameras.items()}
    with TwinWorld(SCENE, replace(settings, cameras={**cameras, "portrait": portrait_camera()})) as world:
        world._physics.model.vis.quality.shadowsize = 8192  # before the first picture is drawn
        world.reset(SCENE)
        while world.progress.furthest < Stage.OVER:
            carry_out(world, expert_action(world.truth(), SCENE))
        world.clock.sleep_until(world.clock.now() + 0.2)
        return {name: latest(world, name) for name in world.cameras}


def compose(pictures: dict[str, Picture]) -> Image.Image:
    page = Image.fromarray(shrink(pictures["portrait"], SIZE))
    for row, name in enumerate(("external", "wrist")):
        inset = Image.fromarray(shrink(pictures[name], INSET))
        framed = Image.new("RGB", (INSET[0] + 2 * BORDER, INSET[1] + 2 * BORDER), (250, 250, 250))
        framed.paste(inset, (BORDER, BORDER))
        page.paste(framed, (MARGIN, MARGIN + row * (framed.height + MARGIN)))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/twin.png"))
    out: Path = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    palette = compose(at_work()).quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    palette.save(out, optimize=True)
    print(f"{out} {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
