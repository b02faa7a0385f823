"""Many put-on cells in one simulation: each is what a cell of its own is; what is done to one stays there.

The cells run here as they do on a GPU, but for `CpuCells` in the place of `GpuCells`.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robot_bridge.plan import compose
from robot_bridge.scene.splits import draw_scene
from robot_contract.errors import SceneError
from robot_contract.pose import angle_between, distance_between
from sim_train.put_on.conditions import SPREADS, Spread
from sim_train.put_on.suite import CUT, DRAWN, SIZE, put_on_suite
from sim_train.simulation import Episode, Report
from sim_train.vector import View

if TYPE_CHECKING:
    from sim_train.put_on.batch_cells import BatchedCells
    from sim_train.put_on.batch_environment import PutOnBatch
    from sim_train.put_on.simulation import PutOnSimulation

pytest.importorskip("sapien", reason="ManiSkill is not installed here", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # ManiSkill's dependencies warn when they are imported

STAND = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def put_on(task: str, seed: int) -> Episode:
    return Episode(suite="put-on", task=task, seed=seed)


def open_cells(count: int, *, conditions: Spread | None = None, wrist: bool = False) -> "BatchedCells":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sim_train.put_on.batch_cells import BatchedCells
        from sim_train.put_on.batch_environment import PutOnBatch
        from sim_train.put_on.cameras import default_cameras

        cameras = default_cameras(crop=CUT, size=DRAWN)
        if not wrist:
            del cameras["wrist"]
        batch = PutOnBatch(
            count,
            cameras=cameras,
            rate_hz=10.0,
            physics="cpu",
            render_backend="cpu",
            conditions=conditions,
        )
    return BatchedCells(batch, size=SIZE, rate_hz=10.0, episode_steps=120)


@pytest.fixture(scope="module")
def cells() -> Iterator["BatchedCells"]:
    with closing(open_cells(2, wrist=True)) as opened:
        yield opened


@pytest.fixture(scope="module")
def simulation() -> Iterator["PutOnSimulation"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened: Any = put_on_suite(wrist_camera=True).open_simulation()
    yield opened
    opened.close()


def batch_of(cells: "BatchedCells") -> "PutOnBatch":
    return cells._batch


def step(cells: "BatchedCells", actions: Mapping[int, Any]) -> dict[int, Report]:
    reports = cells.step({cell: np.array(chunk) for cell, chunk in actions.items()})
    assert all(isinstance(report, Report) for report in reports.values())
    return reports  # pyright: ignore[reportReturnType]


def play(cells: "BatchedCells", episodes: Mapping[int, Episode]) -> dict[int, Report]:
    """By the expert, all at once, until the last is over."""
    cells.reset(episodes)
    reports: dict[int, Report] = {}
    while open_ones := [cell for cell in episodes if cell not in reports or not reports[cell].is_over]:
        reports |= step(cells, cells.ask(methodcaller("expert", 1), open_ones))
    return reports


@pytest.mark.parametrize(
    "tasks",
    [
        ("train", "multi_object_seen"),
        ("multi_receptacle", "unseen_table"),
        ("mid_episode_move", "unseen_object"),
        ("unseen_receptacle", "unseen_position"),
        ("distractors", "unseen_start_pose"),
    ],
)
def test_the_expert_succeeds_in_every_cell(tasks: tuple[str, str], cells: "BatchedCells") -> None:
    reports = play(cells, {cell: put_on(task, 1) for cell, task in enumerate(tasks)})
    for report in reports.values():
        assert report.succeeded
        assert report.notes["stage"] == 5
        assert (report.notes["grasped_named"], report.notes["grasped_other"]) == (1, 0)


def test_one_cell_is_a_batch_too() -> None:
    with closing(open_cells(1)) as alone:
        assert alone.count == 1
        for seed in (2, 3):
            assert play(alone, {0: put_on("train", seed)})[0].succeeded


@pytest.mark.parametrize("task", ["train", "multi_object_unseen", "multi_receptacle", "unseen_camera"])
def test_an_episode_is_the_one_that_a_cell_of_its_own_plays(
    task: str, cells: "BatchedCells", simulation: "PutOnSimulation"
) -> None:
    simulation.reset(put_on(task, 4))
    told = cells.reset({0: put_on("train", 9), 1: put_on(task, 4)})
    view = cells.view(1)
    assert told[1] == view.instruction == simulation.instruction
    assert view.other_instructions() == simulation.other_instructions()
    actions = simulation.expert(8)
    assert np.abs(view.expert(8) - actions).max() < 1e-3
    assert np.abs(view.marks() - simulation.marks()).max() < 5e-4
    for _ in range(3):
        simulation.step(actions)
        step(cells, {1: actions})
        actions = simulation.expert(8)
    ours, theirs = view.read(), simulation.read()
    assert np.abs(ours.joint_position - theirs.joint_position).max() < 0.02, "the elbow is free"
    assert distance_between(ours.tcp_pose, theirs.tcp_pose) < 1e-3
    assert ours.gripper_width == pytest.approx(theirs.gripper_width, abs=1e-3)
    for name in ("external", "wrist"):
        seen = batch_of(cells).base_from_camera(1, name)
        assert distance_between(seen, simulation._env.base_from_camera(name)) < 2e-3
        assert angle_between(seen, simulation._env.base_from_camera(name)) < 5e-3
        seen_at = simulation.mark_pixels()[name]  # NaN where it is out of sight
        np.testing.assert_allclose(view.mark_pixels()[name], seen_at, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("task", "seed"),
    [("train", 0), ("unseen_table", 5), ("unseen_light", 3), ("distractors", 2), ("dynamic_texture_0.5", 1)],
)
def test_a_cell_looks_as_a_cell_of_its_own_does(
    task: str, seed: int, cells: "BatchedCells", simulation: "PutOnSimulation"
) -> None:
    """Table, light, cameras and things are the scene's, and what is parked is not seen."""
    cells.reset({0: put_on("unseen_light", 8), 1: put_on("unseen_table", 7)})
    cells.look([0, 1])
    cells.reset({1: put_on(task, seed)})
    simulation.reset(put_on(task, seed))
    ours, theirs = batch_of(cells).draw([1])[1], simulation._env.draw()
    for name in ("external", "wrist"):
        off = np.abs(ours[name].picture.astype(int) - theirs[name].picture.astype(int)).max(axis=2)
        assert np.mean(off > 12) < 0.01, "edges may fall on the next pixel"
        assert np.mean(off) < 0.5
        assert (ours[name].things is None) == (theirs[name].things is None)
        if (things := ours[name].things) is not None:
            assert np.mean(things != theirs[name].things) < 0.01
    assert cells.pictures([1])[1]["external"].shape == (SIZE, SIZE, 3)


def test_a_chunk_leads_to_the_targets_that_the_bridge_would_chain(cells: "BatchedCells") -> None:
    rng = np.random.default_rng(0)
    cells.reset({0: put_on("train", 3), 1: put_on("unseen_start_pose", 3)})
    anchors = {cell: batch_of(cells).truth(cell).commanded_tcp_pose for cell in (0, 1)}
    for _ in range(4):
        chunks: dict[int, np.ndarray[Any, Any]] = {}
        for cell in (0, 1):
            directions = rng.normal(size=(2, 8, 3))
            directions /= np.linalg.norm(directions, axis=2, keepdims=True)
            lengths = rng.uniform(0.0, 1.0, size=(2, 8, 1)) * np.array([0.018, 0.04])[:, None, None]
            chunks[cell] = np.concatenate([*(directions * lengths), np.ones((8, 1))], axis=1)
        step(cells, chunks)
        for cell, chunk in chunks.items():
            anchors[cell] = compose(anchors[cell], chunk, "base")[-1]
            reached = batch_of(cells).truth(cell).commanded_tcp_pose
            assert distance_between(reached, anchors[cell]) < 1e-9
            assert angle_between(reached, anchors[cell]) < 1e-3
    step(cells, {cell: np.tile(STAND, (20, 1)) for cell in (0, 1)})
    for cell in (0, 1):
        assert distance_between(batch_of(cells).truth(cell).tcp_pose, anchors[cell]) < 2e-3, "it gets there"


def test_contacts_are_those_that_the_list_of_contacts_says(cells: "BatchedCells") -> None:
    from mani_skill.utils import sapien_utils

    from sim_train.put_on.truth import owners_of, touching

    batch = batch_of(cells)
    cells.reset({0: put_on("train", 5), 1: put_on("multi_object_seen", 5)})
    watched = {pair.owners for pair in batch._watched}
    links = [link._objs[1].entity for link in batch.agent.robot.links]
    owners = owners_of(links, batch._tables[1], batch._things[1])
    owners[batch.scene.actors["shelf"]._objs[1]] = "shelf"
    system, was_grasped = batch.scene.sub_scenes[1].physx_system, False
    while True:
        report = step(cells, {1: cells.view(1).expert(1)})[1]
        truth, listed = batch.truth(1), touching(system.get_contacts(), owners)
        assert truth.contacts == listed & watched
        was_grasped |= truth.is_grasped(cells.episode(1).scene.target_object)
        if truth.is_grasped(name := cells.episode(1).scene.target_object):
            number = next(
                number
                for number, pair in enumerate(batch._watched)
                if pair.bodies == (name, "panda_leftfinger")
            )
            finger = batch.agent.robot.links_map["panda_leftfinger"]._objs[1].entity
            thing = batch._things[1][name]._objs[0]
            theirs = sapien_utils.get_pairwise_contact_impulse(system.get_contacts(), thing, finger)
            assert batch._physics.impulses([1])[0, number] == pytest.approx(theirs, abs=1e-6)
        if report.is_over:
            break
    assert was_grasped
    assert report.succeeded


def test_what_is_done_in_one_cell_stays_there(cells: "BatchedCells") -> None:
    from sim_train.put_on.parking import thing_names

    cells.reset({0: put_on("train", 6), 1: put_on("train", 7)})
    step(cells, {cell: cells.view(cell).expert(8) for cell in (0, 1)})
    batch = batch_of(cells)

    def state() -> list[float]:
        now = batch._physics.read()
        things, poses = now.bodies[0, : len(thing_names())], now.bodies[0, :, :7]
        moving = [*now.joints[0], *now.joint_speeds[0], batch.truth(0).time]
        return [*things.ravel(), *poses.ravel(), *moving]

    before = state()
    step(cells, {1: cells.view(1).expert(8)})
    assert np.abs(np.subtract(state(), before)).max() < 2e-6, "no time passes for a cell that is not named"
    cells.reset({1: put_on("multi_receptacle", 7)})
    assert np.abs(np.subtract(state(), before)).max() < 2e-6
    assert batch.truth(1).time == 0.0


def test_an_episode_that_others_interrupt_is_the_same(cells: "BatchedCells") -> None:
    def run(*, interrupted: bool) -> list[float]:
        cells.reset({0: put_on("train", 8)})
        while True:
            report = step(cells, {0: cells.view(0).expert(8)})[0]
            if report.is_over:
                return [float(report.succeeded), *cells.view(0).marks().ravel()]
            if interrupted:
                step(cells, {1: [STAND] * 3})

    cells.reset({1: put_on("train", 1)})
    assert run(interrupted=True) == pytest.approx(run(interrupted=False), abs=3e-3)


def test_each_cell_takes_as_many_steps_as_it_is_given(cells: "BatchedCells") -> None:
    cells.reset({0: put_on("train", 0), 1: put_on("train", 1)})
    reports = step(cells, {0: [STAND] * 8, 1: [STAND] * 3})
    assert {cell: report.steps for cell, report in reports.items()} == {0: 8, 1: 3}
    reports = step(cells, {0: [STAND] * 200, 1: [STAND] * 2})
    assert (reports[0].steps, reports[0].is_over, reports[0].succeeded) == (112, True, False)
    assert step(cells, {0: [STAND]})[0].steps == 0
    assert batch_of(cells).truth(1).time == pytest.approx(0.5)


def test_a_success_earns_one_and_ends_the_episode(cells: "BatchedCells") -> None:
    cells.reset({0: put_on("train", 2)})
    rewards: list[float] = []
    while True:
        report = step(cells, {0: cells.view(0).expert(1)})[0]
        rewards += report.rewards.tolist()
        if report.is_over:
            break
    assert sum(rewards) == pytest.approx(1.0)
    assert step(cells, {0: [STAND] * 3})[0].steps == 0


def test_a_cell_begins_again_as_if_nothing_had_been(cells: "BatchedCells") -> None:
    def start() -> list[float]:
        cells.reset({0: put_on("execution", 5)})
        return [*cells.view(0).read().joint_position, *cells.view(0).marks().ravel()]

    first = start()
    play(cells, {0: put_on("multi_object_seen", 3)})
    assert start() == pytest.approx(first, abs=1e-5)


def test_what_is_parked_rests_out_of_sight(cells: "BatchedCells") -> None:
    from sim_train.put_on.parking import parked_pose, thing_names

    batch = batch_of(cells)
    play(cells, {0: put_on("distractors", 4)})
    scene = draw_scene("distractors", 4)
    placed = {placement.name for placement in (*scene.objects, *scene.receptacles)}
    bodies = batch._physics.read().bodies[0]
    for number, name in enumerate(thing_names()):
        if name not in placed:
            assert np.abs(bodies[number, :3] - parked_pose(name).p).max() < 0.01, name
            assert np.abs(bodies[number, 7:10]).max() < 0.01, name
    batch.draw([0])
    known = {batch._things[0][name]._objs[0].per_scene_id for name in placed}
    known |= {0, batch._tables[0]._objs[0].per_scene_id}
    known |= {link._objs[0].entity.per_scene_id for link in batch.agent.robot.links}
    for sensor in batch._sensors.values():
        numbers = sensor.camera._render_cameras[0].get_picture("PositionSegmentation")[..., 3]
        assert set(np.unique(numbers).tolist()) <= known


def test_somebody_moves_the_object_in_the_one_cell(cells: "BatchedCells") -> None:
    scene = draw_scene("mid_episode_move", 0)
    assert scene.move is not None
    cells.reset({0: put_on("mid_episode_move", 0), 1: put_on("train", 0)})
    before = {cell: cells.view(cell).marks()[0] for cell in (0, 1)}
    step(cells, {cell: [STAND] * 20 for cell in (0, 1)})
    after = {cell: cells.view(cell).marks()[0] for cell in (0, 1)}
    assert after[0][:2] == pytest.approx([scene.move.to.x, scene.move.to.y], abs=0.01)
    assert np.hypot(*(after[0] - before[0])[:2]) > 0.07
    assert np.abs(after[1] - before[1]).max() < 1e-3


def test_conditions_are_each_cell_s_own() -> None:
    spread = replace(
        SPREADS["sim2real"], friction=(1.0, 1.0), mass=(1.0, 1.0), delay_steps=(1, 3), camera_age=(0.08, 0.1)
    )
    with closing(open_cells(2, conditions=spread)) as opened:
        batch = batch_of(opened)
        opened.reset({0: put_on("train", 1), 1: put_on("train", 2)})
        joints = batch.agent.robot.active_joints_map["panda_joint2"]._objs
        for cell in (0, 1):
            now = batch.conditions(cell)
            assert joints[cell].stiffness == pytest.approx(1e3 * now.stiffness)
            assert joints[cell].damping == pytest.approx(1e2 * now.damping)
            camera = batch._sensors["external"].camera._render_cameras[cell]
            whole = batch.put_on_cameras["external"].vertical_field_of_view
            assert camera.fovy == pytest.approx(whole * now.field_of_view, rel=1e-5)
        assert batch.conditions(0) != batch.conditions(1)
        sideways = np.tile([0.0, 0.018, 0.0, 0.0, 0.0, 0.0, 1.0], (6, 1))
        step(opened, {0: sideways, 1: sideways})

        joint_position = batch.joint_position(0).tolist()
        old = batch.draw([0])[0]["external"].picture
        assert batch._physics.read().joints[0, :7].tolist() == joint_position
        batch._cells[0].conditions = replace(batch.conditions(0), camera_age=0.0)
        new = batch.draw([0])[0]["external"].picture
        assert np.abs(old.astype(int) - new.astype(int)).max() > 50, "the hand stands elsewhere"

        opened.look([0])
        step(opened, {0: sideways[:2], 1: sideways[:2]})
        assert batch.truth(0).time == pytest.approx(0.8 + 0.1 * batch.conditions(0).delay_steps)
        assert batch.truth(1).time == pytest.approx(0.8), "that cell was not looked at"


def test_a_question_goes_to_the_cells_that_are_named(cells: "BatchedCells") -> None:
    cells.reset({0: put_on("train", 0), 1: put_on("train", 1)})
    chunks = cells.ask(methodcaller("expert", 8), [1])
    assert list(chunks) == [1]
    assert np.shape(chunks[1]) == (8, 7)
    views = cells.look([1, 0])
    assert list(views) == [1, 0]
    for cell in (0, 1):
        view = views[cell]
        assert isinstance(view, View)
        assert view.instruction == draw_scene("train", cell).instruction


def test_a_cell_without_an_episode_says_so() -> None:
    with closing(open_cells(1)) as fresh:
        for asked in (
            lambda: fresh.look([0]),
            lambda: fresh.step({0: np.array([STAND])}),
            lambda: fresh.ask(methodcaller("marks"), [0]),
        ):
            with pytest.raises(SceneError, match="cell 0 has no episode"):
                asked()


def test_conditions_that_a_batch_cannot_vary_are_refused() -> None:
    with pytest.raises(SceneError, match=r"friction and mass .*--physics cpu"):
        open_cells(1, conditions=SPREADS["sim2real"])
    with pytest.raises(SceneError, match="vary mass from"):
        open_cells(1, conditions=Spread(mass=(0.9, 1.1)))
