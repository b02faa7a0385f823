"""The catalogue holds what the hand can take, and a mistake in it is found by file, line and key."""

from pathlib import Path

import numpy as np
import pytest

from robot_bridge.scene.catalogue import (
    CATALOGUE_FILE,
    MAX_GRASP_WIDTH,
    CatalogueObject,
    Receptacle,
    catalogue,
    read_catalogue,
)
from robot_bridge.scene.layout import FINGER_LENGTH
from robot_bridge.scene.parts import Part, extent, reach
from robot_bridge.scene.wording import SEEN_TEMPLATES, UNSEEN_TEMPLATES, instruction
from robot_contract.errors import SceneError
from robot_contract.pose import quaternion_rotate

OBJECTS = list(catalogue().objects.values())
RECEPTACLES = list(catalogue().receptacles.values())


def _surface(part: Part, rng: np.random.Generator, count: int = 400) -> np.ndarray:
    """Points of the part, its extreme ones among them, in the thing's frame."""
    d = rng.normal(size=(count, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    match part.kind, part.size:
        case "box", (a, b, c):
            points = np.sign(d) * [a, b, c]
        case "cylinder", (r, h):
            across = d[:, :2] / np.linalg.norm(d[:, :2], axis=1, keepdims=True)
            points = np.column_stack([r * across, h * np.sign(d[:, 2])])
        case "capsule", (r, h):
            points = r * d + np.column_stack([np.zeros((count, 2)), h * np.sign(d[:, 2])])
        case "ellipsoid", (a, b, c):
            points = d * [a, b, c]
        case _:
            points = d * part.size[0]
    return np.array([quaternion_rotate(part.pose.quaternion, p) for p in points]) + part.position


def test_there_are_25_objects_16_of_them_seen_and_receptacles_of_both_sorts() -> None:
    known = catalogue()
    assert len(known.objects) == 25
    assert len(known.object_names(seen=True)) == 16
    assert len(known.object_names(seen=False)) == 9
    assert len(known.receptacle_names(seen=True)) == len(known.receptacle_names(seen=False)) == 4


@pytest.mark.parametrize("thing", [*OBJECTS, *RECEPTACLES], ids=lambda thing: thing.name)
def test_a_thing_stands_on_its_origin(thing: CatalogueObject | Receptacle) -> None:
    assert extent(thing.parts, (0, 0, -1)) == pytest.approx(0, abs=0.0015)
    assert thing.height < 0.12
    assert thing.radius < 0.14


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: thing.name)
def test_an_object_fits_between_the_fingers(thing: CatalogueObject) -> None:
    across = extent(thing.parts, (0, 1, 0)) + extent(thing.parts, (0, -1, 0))
    assert thing.grasp_width <= MAX_GRASP_WIDTH
    assert across < 0.078
    assert thing.grasp_width <= across + 0.001
    assert 0.012 <= thing.grasp_height < thing.height
    assert thing.height - thing.grasp_height <= FINGER_LENGTH + 1e-9  # else the palm comes down on it
    if thing.yaw_symmetry == "full":
        widest = max(extent(thing.parts, (np.cos(a), np.sin(a), 0)) for a in np.linspace(0, 6, 40))
        assert 2 * widest == pytest.approx(across, abs=0.002)


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: thing.name)
def test_every_object_fits_into_every_receptacle(thing: CatalogueObject) -> None:
    # It may overhang a plate or lean in a bowl, but its middle third lies inside.
    assert all(thing.radius / 3 < min(place.inside) for place in RECEPTACLES)


@pytest.mark.parametrize("thing", [*OBJECTS, *RECEPTACLES], ids=lambda thing: thing.name)
def test_reach_is_the_farthest_point_of_the_surface(thing: CatalogueObject | Receptacle) -> None:
    rng = np.random.default_rng(0)
    for part in thing.parts[:6]:
        points = _surface(part, rng)
        for direction in np.vstack([np.eye(3), -np.eye(3), [[0.6, 0.0, 0.8]]]):
            farthest = (points @ direction).max()
            assert farthest <= reach(part, direction) + 1e-9
            assert farthest == pytest.approx(reach(part, direction), abs=0.004)


def test_names_and_nouns_are_not_shared() -> None:
    names = [thing.name for thing in (*OBJECTS, *RECEPTACLES)]
    nouns = [noun for thing in (*OBJECTS, *RECEPTACLES) for noun in (thing.noun, *thing.other_nouns)]
    assert len(set(names)) == len(names)
    assert len(set(nouns)) == len(nouns)


def test_instructions_read_as_english() -> None:
    known = catalogue()
    apple, bowl = known.object("apple"), known.receptacle("blue_bowl")
    assert instruction(SEEN_TEMPLATES[0], apple, bowl) == "put the apple in the blue bowl"
    assert instruction(SEEN_TEMPLATES[0], apple, bowl, other_noun=0) == "put the red fruit in the blue bowl"
    assert not set(SEEN_TEMPLATES) & set(UNSEEN_TEMPLATES)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(SceneError, match="did you mean 'apple'"):
        catalogue().object("aple")
    with pytest.raises(SceneError, match="did you mean 'blue_bowl'"):
        catalogue().receptacle("blue_bwol")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("mass: 0.12", "mass: heavy", "objects.apple.mass: expected a number, found 'heavy'"),
        ("mass: 0.12", "mass: 12", "12 is outside 0.005 to 1"),
        ("mass: 0.12", "mass: .nan", "expected a number|outside"),
        ("mass: 0.12", "mass: nan", "nan is outside"),
        ("mass: 0.12", "mess: 0.12", "unknown key; did you mean 'mass'"),
        ("    mass: 0.12\n", "", "missing mass"),
        ("grasp_width: 0.062", "grasp_width: 0.080", "0.08 is outside 0.01 to 0.075"),
        ("yaw_symmetry: full", "yaw_symmetry: round", "'round' is not accepted"),
        ("kind: sphere, size: [0.031]", "kind: ball, size: [0.031]", "'ball' is not accepted"),
        ("kind: sphere, size: [0.031]", "kind: sphere, size: [1, 2]", "expected 1 numbers, found 2"),
        ('"#c0242b", texture: speckle', '"red"', "expected a colour such as"),
        ("texture: speckle", "texture: specle", "did you mean 'speckle'"),
        ("seen: true", "seen: maybe", "'maybe' is not accepted"),
        ("    noun: apple", "    noun: apple\n    noun: pome", "stands here twice"),
        ("  apple:", "  apple: [", "not YAML"),
    ],
)
def test_a_mistake_is_found_by_file_and_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = CATALOGUE_FILE.read_text()
    changed = tmp_path / "objects.yaml"
    changed.write_text(text.replace(old, new, 1))
    with pytest.raises(SceneError, match=complaint) as caught:
        read_catalogue(changed)
    assert "objects.yaml:" in str(caught.value)
    line = int(str(caught.value).split(":")[1])
    assert abs(line - text[: text.index(old)].count("\n") - 1) <= 12


def test_the_line_is_the_one_with_the_mistake(tmp_path: Path) -> None:
    lines = CATALOGUE_FILE.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if "friction: 0.8" in line)
    lines[number] = "    friction: -1"
    changed = tmp_path / "objects.yaml"
    changed.write_text("\n".join(lines))
    with pytest.raises(SceneError, match=f"objects.yaml:{number + 1}: .*friction: -1 is outside"):
        read_catalogue(changed)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "objects.yaml"
    empty.write_text("")
    with pytest.raises(SceneError, match="empty"):
        read_catalogue(empty)
