"""The parts of batched put-on on plain tensors: many arms, contacts by pair, old pictures, rows of a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_bridge.plan import compose
from robot_bridge.scene.truth import ARM, LEFT_FINGER, TABLE
from robot_contract.errors import SimulationUnavailable
from robot_contract.pose import Pose, angle_between, distance_between
from sim_train.put_on.suite import put_on_suite

sapien = pytest.importorskip("sapien", reason="ManiSkill is not installed here", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # ManiSkill's dependencies warn when they are imported

HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])


def kinematics() -> Any:
    import torch

    from sim_train.put_on.arm import PutOnPanda
    from sim_train.put_on.batch_arm import ArmKinematics

    return ArmKinematics(Path(PutOnPanda.urdf_path), PutOnPanda.ee_link_name, torch.device("cpu"))


def around_home(count: int) -> Any:
    import torch

    return torch.tensor(HOME + np.random.default_rng(0).uniform(-0.2, 0.2, (count, 7)))


def test_the_hand_is_where_the_bridge_s_kinematics_have_it() -> None:
    from robot_bridge.kinematics import forward
    from robot_bridge.twin.truth import FLANGE_FROM_TCP

    joints = around_home(5)
    for row, pose in zip(joints.numpy(), kinematics().hand_pose(joints).numpy(), strict=True):
        expected = forward(row).flange_pose() @ FLANGE_FROM_TCP
        w, x, y, z = pose[3:]
        found = Pose(position=pose[:3], quaternion=np.array([x, y, z, w]))
        assert distance_between(found, expected) < 1e-6
        assert angle_between(found, expected) < 1e-5


def test_joints_are_found_for_many_arms_at_once_as_for_each_alone() -> None:
    import torch

    arms, joints = kinematics(), around_home(6)
    targets = arms.hand_pose(joints)
    targets[:, :3] += torch.tensor(np.random.default_rng(1).uniform(-0.04, 0.04, (6, 3)))
    found, error = arms.joints_for(targets, joints)
    assert float(error.max()) < 1e-9
    assert float((arms.hand_pose(found) - targets)[:, :3].abs().max()) < 1e-9
    for row in range(6):
        alone, _ = arms.joints_for(targets[row : row + 1], joints[row : row + 1])
        assert float((alone[0] - found[row]).abs().max()) < 1e-9


def test_a_lag_of_two_steps_is_closed_where_maniskill_s_single_step_ends_millimetres_off() -> None:
    from types import SimpleNamespace

    import torch
    from mani_skill.agents.controllers.utils.kinematics import Kinematics
    from mani_skill.utils.structs import Pose as ManiSkillPose

    from sim_train.put_on.arm import PutOnPanda
    from sim_train.put_on.batch_arm import chained

    arms, joints, rng = kinematics(), around_home(200), np.random.default_rng(2)
    ways = rng.normal(size=(2, 200, 3))
    sent = torch.tensor(np.concatenate([*(ways / np.linalg.norm(ways, axis=2, keepdims=True))], axis=1))
    before = arms.hand_pose(joints)
    target = chained(chained(before, sent), sent)  # 36 mm and 0.08 rad ahead
    theirs: Any = Kinematics.__new__(Kinematics)  # as on a GPU, but for the device
    theirs.device, theirs.urdf_path = torch.device("cpu"), PutOnPanda.urdf_path
    theirs.end_link, theirs.active_joint_indices = SimpleNamespace(name="panda_hand_tcp"), torch.arange(7)
    theirs.active_ancestor_joints = [SimpleNamespace(active_index=torch.tensor([n])) for n in range(7)]
    theirs._setup_gpu()
    once = theirs.compute_ik(
        pose=ManiSkillPose.create(target.float()),
        q0=joints.float(),
        current_pose=ManiSkillPose.create(before.float()),
        solver_config={"type": "levenberg_marquardt", "alpha": 1.0},
    )
    ours, _ = arms.joints_for(target, joints)

    def off(found: Any) -> float:
        return float((arms.hand_pose(found.double()) - target)[:, :3].norm(dim=1).max())

    assert 1e-3 < off(once) < 8e-3
    assert off(ours) < 1e-7


def test_joints_that_reach_no_pose_stay_as_they_were_commanded() -> None:
    import torch

    from sim_train.put_on.batch_arm import ArmTargets

    arms = kinematics()
    targets = ArmTargets.of(arms, 2, torch.device("cpu"))
    both, joints = torch.tensor([0, 1]), torch.cat([around_home(2), torch.full((2, 2), 0.04)], dim=1)
    targets.stand(both, joints)
    targets.pose[1, :3] += 2.0  # out of anybody's reach
    told = targets.command(both, torch.zeros(2, 7), joints, seconds=0.1)
    assert float((told[:, :7] - joints[:, :7]).abs().max()) < 1e-6
    assert bool(torch.isfinite(told).all())


def test_each_cell_s_target_chains_as_the_bridge_s() -> None:
    import torch

    from sim_train.put_on.arm import environment_action
    from sim_train.put_on.batch_arm import chained

    rng = np.random.default_rng(3)
    turns = rng.normal(size=(4, 3))
    turns *= 0.039 / np.linalg.norm(turns, axis=1, keepdims=True)
    actions = np.concatenate([rng.uniform(-0.01, 0.01, (4, 3)), turns, np.ones((4, 1))], axis=1)
    anchors = [Pose.from_rotation_vector((0.4, 0.1 * n, 0.2), (3.0, 0.1 * n, 0.3)) for n in range(4)]
    before = torch.tensor(
        np.array([[*pose.position, pose.quaternion[3], *pose.quaternion[:3]] for pose in anchors])
    )
    sent = torch.tensor(np.array([environment_action(action, 1.0)[:6] for action in actions]))
    for anchor, action, row in zip(anchors, actions, chained(before, sent).numpy(), strict=True):
        w, x, y, z = row[3:]
        found, expected = (
            Pose(position=row[:3], quaternion=np.array([x, y, z, w])),
            compose(anchor, action[None], "base")[-1],
        )
        assert distance_between(found, expected) < 1e-12
        assert angle_between(found, expected) < 1e-7


def test_fingers_go_no_faster_than_each_cell_s_may() -> None:
    import torch

    from sim_train.put_on.arm import SQUEEZE, gripper_action
    from sim_train.put_on.batch_arm import ramped

    now = torch.tensor([0.04, 0.04, 0.0, 0.02])
    wanted = torch.tensor(
        [gripper_action(0.0), gripper_action(0.0), gripper_action(0.08), gripper_action(0.04)]
    )
    reach = torch.tensor([0.005, 1.0, 0.003, 0.005])
    assert ramped(now, wanted, reach).tolist() == pytest.approx([0.035, -SQUEEZE, 0.003, 0.02], abs=1e-6)


def test_cells_that_are_not_named_keep_their_targets() -> None:
    import torch

    from sim_train.put_on.batch_arm import ArmTargets

    targets = ArmTargets.of(kinematics(), 3, torch.device("cpu"))
    targets.stand(torch.arange(3), torch.cat([around_home(3), torch.full((3, 2), 0.04)], dim=1))
    targets.finger_speed[:] = 0.05
    before = [targets.pose.clone(), targets.arm.clone(), targets.fingers.clone()]
    sent = torch.full((1, 7), -1.0)
    joints = torch.cat([around_home(3)[1:2], torch.full((1, 2), 0.04)], dim=1)
    targets.command(torch.tensor([1]), sent, joints, seconds=0.1)
    for old, new in zip(before, (targets.pose, targets.arm, targets.fingers), strict=True):
        changed = (old != new).reshape(3, -1).any(dim=1)
        assert changed.tolist() == [False, True, False]


def test_pairs_are_named_as_contacts_are_and_read_by_their_numbers() -> None:
    from sim_train.put_on.batch_contacts import touching_pairs, watched_pairs

    watched = watched_pairs(("panda_link7", "panda_hand", "panda_leftfinger"))
    bodies = [pair.bodies for pair in watched]
    assert len(set(bodies)) == len(watched) == 25 * (3 + 1 + 8)
    impulses = np.zeros((len(watched), 3))
    impulses[bodies.index(("apple", "panda_leftfinger"))] = [0.0, -1e-3, 0.0]
    impulses[bodies.index(("apple", "panda_hand"))] = [0.0, 0.0, 1e-4]
    impulses[bodies.index(("banana", TABLE))] = [0.0, 0.0, 1e-12]  # merely near
    assert touching_pairs(impulses, watched) == {("apple", LEFT_FINGER), ("apple", ARM)}


def test_the_past_is_remembered_for_a_while() -> None:
    from sim_train.put_on.past import Memory

    past: Memory[Any] = Memory()
    assert past.then(0.1) is None
    for number in range(60):
        past.remember(0.01, np.full((2, 7), number, dtype=np.float32))
    assert past.then(0.0) is None
    for age, number in ((0.05, 54), (0.1, 49)):
        found = past.then(age)
        assert found is not None
        assert found[0, 0] == number
    oldest = past.then(5.0)
    assert oldest is not None
    assert oldest[0, 0] in {39, 40}, "a fifth of a second is kept"


def test_every_parked_thing_has_a_place_of_its_own() -> None:
    from robot_bridge.scene.catalogue import catalogue
    from sim_train.put_on.parking import parked_pose, thing_names

    known = {**catalogue().objects, **catalogue().receptacles}
    names = thing_names()
    assert set(names) == set(known)
    for number, name in enumerate(names):
        for other in names[:number]:
            apart = np.linalg.norm(parked_pose(name).p - parked_pose(other).p)
            assert apart > known[name].radius + known[other].radius + 0.04, (name, other)
        assert parked_pose(name).p[2] + known[name].height < -0.8, "the floor hides it"


class Buffer:
    def __init__(self, *shape: int) -> None:
        import torch

        self.values = torch.arange(float(np.prod(shape))).reshape(shape)

    def torch(self) -> Any:
        return self.values


class FakeSystem:
    """PhysX's buffers on a GPU, without a GPU: 3 cells of a table, 2 things and 2 links, in no good order."""

    def __init__(self) -> None:
        self.cuda_rigid_body_data = Buffer(15, 13)
        self.cuda_articulation_qpos = Buffer(3, 9)
        self.cuda_articulation_qvel = Buffer(3, 9)
        self.cuda_articulation_target_qpos = Buffer(3, 9)
        self.calls: list[str] = []

    def gpu_create_contact_pair_impulse_query(self, pairs: list[Any]) -> Any:
        self.pairs = pairs
        return type("Query", (), {"cuda_impulses": Buffer(len(pairs), 3)})()

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append(name)


class FakeScene:
    device = "cpu"

    def __init__(self, px: FakeSystem) -> None:
        self.px = px

    def _gpu_fetch_all(self) -> None:
        self.px.calls.append("fetch")

    def _gpu_apply_all(self) -> None:
        self.px.calls.append("apply")


class Body:
    """Entity and component at once."""

    def __init__(self, row: int) -> None:
        self.gpu_pose_index = row

    def find_component_by_type(self, kind: object) -> "Body":
        return self


def test_a_gpu_s_rows_are_read_and_written_for_the_cells_that_are_meant() -> None:
    from sim_train.put_on.batch_contacts import Watched
    from sim_train.put_on.batch_physics import CellBodies, GpuCells, Instant

    px = FakeSystem()
    cells: list[Any] = [
        CellBodies(
            scene=None,  # pyright: ignore[reportArgumentType]
            things={"a": Body(14 - 4 * n), "b": Body(13 - 4 * n)},  # pyright: ignore[reportArgumentType]
            table=Body(n),  # pyright: ignore[reportArgumentType]
            links={"x": Body(12 - 4 * n), "y": Body(11 - 4 * n)},  # pyright: ignore[reportArgumentType]
            robot=type("Robot", (), {"gpu_index": 2 - n})(),
        )
        for n in range(3)
    ]
    watched = [
        Watched(owners=("a", TABLE), bodies=("a", TABLE)),
        Watched(owners=("a", "b"), bodies=("b", "y")),
    ]
    physics = GpuCells(FakeScene(px), cells, watched)  # pyright: ignore[reportArgumentType]

    now = physics.read()
    assert now.bodies.shape == (3, 4, 13)
    assert (now.bodies[:, :, 0] / 13).tolist() == [[14, 13, 12, 11], [10, 9, 8, 7], [6, 5, 4, 3]]
    assert (now.joints[:, 0] / 9).tolist() == [2, 1, 0]
    assert [[body.gpu_pose_index for body in pair] for pair in px.pairs] == [
        [14, 0],
        [13, 11],
        [10, 1],
        [9, 7],
        [6, 2],
        [5, 3],
    ]
    assert physics.impulses([2, 0])[:, :, 0].tolist() == [[12.0, 15.0], [0.0, 3.0]]

    px.calls.clear()
    put = Instant(
        bodies=now.bodies[[1]] * 0 - 1, joints=now.joints[[1]] * 0 - 2, joint_speeds=now.joints[[1]] * 0
    )
    physics.put([1], put)
    written = (px.cuda_rigid_body_data.values == -1).all(dim=1)
    assert written.nonzero().flatten().tolist() == [9, 10], "the things; links follow the joints"
    assert (px.cuda_articulation_qpos.values == -2).all(dim=1).tolist() == [False, True, False]
    assert px.calls == ["fetch", "apply", "gpu_update_articulation_kinematics", "fetch"]

    physics.aim([2], np.full((1, 9), 7.0, dtype=np.float32))
    assert (px.cuda_articulation_target_qpos.values == 7).all(dim=1).tolist() == [True, False, False]
    assert px.calls[-1] == "gpu_apply_articulation_target_position"


def test_without_a_gpu_and_its_library_the_batch_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests
    import torch

    from sim_train.put_on import gpu_physics

    def fetch(*arguments: object) -> None:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(requests, "get", fetch)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    open_batch = put_on_suite().open_batch
    assert open_batch is not None
    with pytest.raises(SimulationUnavailable, match=r"no CUDA device.*libPhysXGpu_64\.so"):
        open_batch(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_physics, "_opens", lambda library: True)
    with pytest.raises(SimulationUnavailable, match=str(tmp_path)) as refusal:
        open_batch(2)
    assert "CUDA" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == [], "SAPIEN would have made a folder"
    library = gpu_physics.physx_library()
    library.parent.mkdir(parents=True)
    library.touch()
    gpu_physics.require_gpu_physics()
    monkeypatch.setattr(gpu_physics, "_opens", lambda library: False)
    with pytest.raises(SimulationUnavailable, match=r"libcuda\.so"):
        gpu_physics.require_gpu_physics()
