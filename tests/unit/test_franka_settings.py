"""The section `franka` of a rig, the check of the arm's model, and the names of its errors."""

from pathlib import Path

import numpy as np
import pytest

from robot_bridge.franka.errors import ADVICE, fault_sentence, names_in
from robot_bridge.franka.model_check import model_problem
from robot_bridge.franka.reference import JointReference
from robot_bridge.open_devices import open_devices
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.safety import arm_table
from robot_contract.errors import RigError

TEXT = find_rig("franka").read_text()


def load(folder: Path, text: str):
    path = folder / "lab.yaml"
    path.write_text(text)
    return load_rig(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    realtime: enforce", "    realtime: maybe", "'maybe' is not accepted"),
        ("    tracking: impedance", "    tracking: torque", "'torque' is not accepted"),
        ("    torque: [20.0", "    torque: [200.0", "200 is outside 1 to 87"),
        ("11.0, 10.0, 9.0]", "11.0, 10.0, 19.0]", "joint 7: 19 Nm; the joint itself has 12 Nm"),
        ("    force: [20.0", "    force: [.nan", "expected a number, found '.nan'"),
        ("    mass: 0.0", "    mass: -1", "-1 is outside 0 to 3"),
        ("    translation: 800.0", "    translation: 8000.0", "8000 is outside 50 to 2000"),
        ("    speed: 0.1", "    speed: 1.0", "1 is outside 0.01 to 0.1"),
        ("  recoveries: 3", "  recoveries: 2.5", "expected a whole number"),
        ("  success_rate: 0.9", "  success_rate: 0.1", "0.1 is outside 0.5 to 1"),
        ("  recoveries: 3", "  recovery: 3", "unknown key; did you mean 'recoveries'"),
        ("hold_to_run: true", "hold_to_run: false", "franka needs hold_to_run: true"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TEXT
    with pytest.raises(RigError, match=words):
        load(tmp_path, TEXT.replace(old, new, 1))


def test_the_section_belongs_to_its_driver(tmp_path: Path) -> None:
    section = TEXT[TEXT.index("\nfranka:") : TEXT.index("\ngripper:")]
    with pytest.raises(RigError, match="belongs to the driver franka"):
        load(tmp_path, TEXT.replace(section, ""))
    with pytest.raises(RigError, match="belongs to the driver franka"):
        load(tmp_path, find_rig("mock").read_text().replace("\ngripper:", section + "\ngripper:", 1))


def test_a_rig_that_nobody_edited_is_not_opened() -> None:
    pytest.importorskip("franky", reason="the extra `franka` is not installed")
    rig = load_rig(find_rig("franka"))
    blind = rig.__class__(**{**rig.__dict__, "cameras": ()})
    with pytest.raises(RigError, match="write the arm's address"):
        open_devices(blind)


def test_pictures_of_the_twin_are_never_drawn_for_a_real_arm(tmp_path: Path) -> None:
    pytest.importorskip("franky", reason="the extra `franka` is not installed")
    from robot_bridge.franka.mirror import Mirror

    text = find_rig("franka_simulated").read_text()
    for old, new in (("127.0.0.1    #", "172.16.0.2    #"), ("realtime: ignore", "realtime: enforce")):
        rig = load(tmp_path, text.replace(old, new, 1))
        assert rig.franka is not None
        assert rig.franka.twin_pictures is not None
        with pytest.raises(RigError, match="simulated control interface on this machine only"):
            Mirror(rig, rig.franka.twin_pictures, None, None)  # type: ignore[arg-type]


def urdf(name: str, low: float = -2.7437) -> str:
    table = arm_table("fr3", "5.8")
    lows = [low, *table.joint_low[1:]]
    joints = "".join(
        f'<joint type="revolute"><limit lower="{a}" upper="{b}"/></joint>'
        for a, b in zip(lows, table.joint_high, strict=True)
    )
    return f'<robot name="{name}">{joints}</robot>'


def test_the_arm_that_answers_must_be_the_rigs() -> None:
    newer, older, panda = arm_table("fr3", "5.9"), arm_table("fr3", "5.8"), arm_table("panda")
    assert model_problem(urdf("fr3"), newer) == ""  # the maker's model file keeps the older ranges
    assert model_problem(urdf("fr3"), older) == ""
    assert "limits are those of panda" in model_problem(urdf("fr3"), panda)
    assert "limits are those of fr3" in model_problem(urdf("panda"), newer)
    assert "none of those published" in model_problem(urdf("fr3", low=-2.0), newer)
    assert "calls itself 'ur5'" in model_problem(urdf("ur5"), newer)
    assert "0 turning joints" in model_problem('<robot name="fr3"/>', newer)
    assert "cannot be read" in model_problem("<robot", newer)


def test_errors_keep_the_makers_names() -> None:
    message = (
        'libfranka: Move command aborted: motion aborted by reflex! ["cartesian_reflex", "joint_reflex"]'
    )
    assert names_in(message) == ("cartesian_reflex", "joint_reflex")
    assert fault_sentence(names_in(message)).startswith("cartesian_reflex, joint_reflex; the arm felt")
    assert "fault of this program" in fault_sentence(("joint_motion_generator_velocity_discontinuity",))
    assert fault_sentence(("something_new",)) == "something_new"


def test_every_advice_stands_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "franka.md").read_text()
    for name in ADVICE:
        assert f"`{name}`" in guide, name


def test_the_reference_goes_straight_and_then_stands() -> None:
    speed = np.full(7, 1.0)
    reference = JointReference(np.zeros(7), speed, 0.01)
    reference.aim(np.full(7, 0.003), 0.0)
    joints, velocity = reference.at(0.0075)
    assert np.allclose(joints, 0.0015)
    assert np.allclose(velocity, 0.2)
    assert np.allclose(reference.at(0.02)[0], 0.003)
    assert not reference.at(0.02)[1].any()
    reference.aim(np.full(7, 1.003), 1.0)
    assert np.allclose(reference.at(1.5)[1], 1.0), "no faster than allowed"
    reference.stand(1.5)
    assert np.allclose(reference.at(9.0)[0], 0.503)
    assert not reference.at(9.0)[1].any()
