"""The MuJoCo model of a cell: the arm, a table, the things of a scene, cameras and light.

Everything that stands on the table is made from the object catalogue, so that training and the twin show and
weigh the same things. Table top and arm base are at height zero.
"""

from importlib.resources import files
from typing import Any

import mujoco
import numpy as np

from robot_bridge.devices import Picture
from robot_bridge.scene.catalogue import Thing, catalogue
from robot_bridge.scene.parts import Part
from robot_bridge.scene.scene import CameraOffset, Light, Placement, Scene
from robot_bridge.scene.textures import draw_texture
from robot_bridge.twin.settings import PHYSICS_PERIOD, CameraSettings, Poster
from robot_contract.pose import Pose, matrix_from_quaternion, quaternion_from_matrix

_KIND = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
}
_TABLE_CENTRE = (0.40, 0.0, -0.025)
_TABLE_HALF = (0.62, 0.75, 0.025)
_FLOOR = -0.75  # [m]
_ROLLING = (0.01, 0.0003)  # torsional and rolling friction of things [m]
_PART_TEXTURE = 128  # [px] side of a part's texture
_PIXEL = 1.4e-6  # [m], any size of a sensor's pixel: only ratios count
_SHEET = 0.002  # [m] thickness of a poster
GAP = 0.0005  # [m] above the table when placed

ARM_XML = files("robot_bridge.twin").joinpath("fr3.xml")


def build_cell(
    scene: Scene, cameras: dict[str, CameraSettings], posters: tuple[Poster, ...] = ()
) -> mujoco.MjModel:
    """The world of a scene; bodies of things have their catalogue names."""
    spec: Any = mujoco.MjSpec.from_string(ARM_XML.read_text(encoding="utf-8"))
    spec.option.timestep = PHYSICS_PERIOD
    # Flat feet on flat floors: with one contact point each they would never come to rest.
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_MULTICCD)
    _add_light(spec, scene.light)
    _add_table(spec, scene.table_texture)
    known = catalogue()
    for placement in scene.receptacles:
        _add_thing(spec, known.receptacle(placement.name), placement)
    for placement in scene.objects:
        _add_thing(spec, known.object(placement.name), placement)
    offsets = {"external": scene.external_camera, "wrist": scene.wrist_camera}
    for name, camera in cameras.items():
        _add_camera(spec, name, camera, offsets.get(name))
    for number, poster in enumerate(posters):
        _add_poster(spec, f"poster{number}", poster)
    return spec.compile()


def _flat(spec: Any, name: str, picture: Picture) -> None:
    """Add a texture and a material `name` of it."""
    texture = spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=picture.shape[1],
        height=picture.shape[0],
        nchannel=3,
    )
    texture.data = picture.tobytes()
    material = spec.add_material(name=name, specular=0.15, shininess=0.25)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _wrapping(spec: Any, name: str) -> str:
    """Add a material that shows the texture upright on every side of a part; return its name."""
    material_name = f"{name} wrapped"
    if spec.material(material_name) is None:
        picture = draw_texture(name, size=_PART_TEXTURE)
        # The cube's sides are +x -x +y -y +z -z of the part; MuJoCo lays the first three down sideways.
        sides = [np.rot90(picture, quarter) for quarter in (1, -1, 2, 0, 0, 0)]
        texture = spec.add_texture(
            name=material_name,
            type=mujoco.mjtTexture.mjTEXTURE_CUBE,
            width=_PART_TEXTURE,
            height=6 * _PART_TEXTURE,
            nchannel=3,
        )
        texture.data = np.concatenate(sides).tobytes()
        material = spec.add_material(name=material_name, specular=0.15, shininess=0.25)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = material_name
    return material_name


def _add_light(spec: Any, light: Light) -> None:
    tint = np.array([1.0, 1.0, 1.0]) + light.warmth * np.array([0.10, 0.01, -0.14])
    head = spec.visual.headlight
    head.ambient = (light.intensity * light.ambient * tint).tolist()
    head.diffuse = (0.14 * light.intensity * tint).tolist()
    head.specular = [0.05, 0.05, 0.05]
    across = np.cos(light.elevation)
    source = np.array(
        [across * np.cos(light.azimuth), across * np.sin(light.azimuth), np.sin(light.elevation)]
    )
    spec.worldbody.add_light(
        name="key",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.45, 0.0, 0.0] + 2.0 * source,
        dir=-source,
        diffuse=(1 - light.ambient) * 0.80 * light.intensity * tint,
        specular=[0.25, 0.25, 0.25],
        castshadow=True,
    )
    spec.worldbody.add_light(
        name="fill",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[-0.5, 1.5, 1.5],
        dir=[0.4, -0.8, -0.7],
        diffuse=0.10 * light.intensity * tint,
        specular=[0.0, 0.0, 0.0],
        castshadow=False,
    )
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.90, 0.92, 0.94],
        rgb2=[0.62, 0.67, 0.73],
        width=64,
        height=64,
    )


def _add_table(spec: Any, texture: str) -> None:
    world = spec.worldbody
    _flat(spec, texture, draw_texture(texture))
    spec.material(texture).texrepeat = [2, 2]
    world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=_TABLE_CENTRE,
        size=_TABLE_HALF,
        material=texture,
        friction=[0.8, 0.01, 0.0003],
        condim=4,
    )
    for x in (-1, 1):
        for y in (-1, 1):
            world.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[0.03, 0.03, -_FLOOR / 2 - 0.025],
                pos=[_TABLE_CENTRE[0] + x * 0.55, y * 0.68, _FLOOR / 2 - 0.025],
                rgba=[0.22, 0.23, 0.25, 1],
                contype=0,
                conaffinity=0,
            )
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[4, 4, 0.1],
        pos=[0, 0, _FLOOR],
        rgba=[0.68, 0.68, 0.67, 1],
        friction=[0.9, 0.02, 0.001],
    )


def _add_thing(spec: Any, thing: Thing, placement: Placement) -> None:
    half = placement.yaw / 2
    body = spec.worldbody.add_body(
        name=thing.name, pos=[placement.x, placement.y, GAP], quat=[np.cos(half), 0, 0, np.sin(half)]
    )
    body.add_freejoint(name=thing.name)
    felt = sum(part.volume for part in thing.parts if part.touchable)
    for part in thing.parts:
        _add_part(spec, body, part, thing, thing.mass * part.volume / felt)


def _add_part(spec: Any, body: Any, part: Part, thing: Thing, mass: float) -> None:
    x, y, z, w = part.quaternion
    geom = body.add_geom(
        type=_KIND[part.kind],
        size=[*part.size, 0.0, 0.0][:3],
        pos=part.position,
        quat=[w, x, y, z],
        rgba=part.rgba,
    )
    if part.texture is not None:
        geom.material = _wrapping(spec, part.texture)
    if part.touchable:
        geom.mass, geom.condim = mass, 4
        geom.friction = [thing.friction, *_ROLLING]
        geom.solref, geom.solimp = [0.008, 1.0], [0.95, 0.99, 0.001, 0.5, 2.0]
    else:
        geom.mass, geom.contype, geom.conaffinity, geom.group = 0.0, 0, 0, 1


def _add_camera(spec: Any, name: str, camera: CameraSettings, offset: CameraOffset | None) -> None:
    parent = spec.worldbody if camera.mount == "base" else spec.body("flange")
    pose = camera.mount_from_camera
    if offset is not None:
        pose = pose @ Pose.from_rotation_vector(offset.translation, offset.rotation)
    # MuJoCo's cameras look along -z with y up.
    rotation = matrix_from_quaternion(pose.quaternion) @ np.diag([1.0, -1.0, -1.0])
    x, y, z, w = quaternion_from_matrix(rotation).tolist()
    made = parent.add_camera(
        name=name, pos=pose.position, quat=[w, x, y, z], fovy=float(np.rad2deg(camera.vertical_field_of_view))
    )
    if camera.measured_intrinsics is not None:
        fx, fy, cx, cy = camera.measured_intrinsics
        made.resolution = [camera.width, camera.height]
        made.sensor_size = [_PIXEL * camera.width, _PIXEL * camera.height]
        made.focal_pixel = [fx, fy]
        made.principal_pixel = [0.5 * (camera.width - 1) - cx, cy - 0.5 * (camera.height - 1)]


def _add_poster(spec: Any, name: str, poster: Poster) -> None:
    _flat(spec, name, poster.picture)
    half = np.array([poster.width / 2, poster.height / 2, _SHEET / 2])
    turn = Pose(position=half, quaternion=np.array([1.0, 0.0, 0.0, 0.0]))  # its printed side towards -z
    pose = poster.mount_from_sheet @ turn
    x, y, z, w = pose.quaternion.tolist()
    parent = spec.worldbody if poster.mount == "base" else spec.body("flange")
    parent.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=half,
        pos=pose.position,
        quat=[w, x, y, z],
        material=name,
        mass=0.0,
        contype=0,
        conaffinity=0,
        group=1,
    )
