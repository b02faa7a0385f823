"""Many put-on cells in one ManiSkill simulation, each with an episode of its own.

Table, light and cameras are set when an episode begins; what is built once is in batch_world.py.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import sapien
import torch

from robot_bridge.scene.scene import Move, Placement, Scene
from robot_bridge.scene.success import Progress, advance
from robot_bridge.scene.truth import SceneTruth
from robot_contract.errors import SceneError
from robot_contract.pose import Pose, Vector
from sim_train.put_on.arm import environment_action
from sim_train.put_on.batch_contacts import touching_pairs
from sim_train.put_on.batch_physics import Array
from sim_train.put_on.batch_world import BatchWorld, Physics
from sim_train.put_on.cameras import PutOnCamera, pose_in, sapien_camera_pose
from sim_train.put_on.cell import change_lamps, change_table_top, lamps_of, pose_of
from sim_train.put_on.conditions import Conditions, Spread, draw_conditions
from sim_train.put_on.parking import parked_pose, thing_names
from sim_train.put_on.past import Memory
from sim_train.put_on.pictures import Drawn
from sim_train.put_on.poses import from_row
from sim_train.put_on.world import PHYSICS_RATE_HZ, SETTLING_STEPS, Look, joints_at_start

_OPENING = environment_action(np.zeros(7), 1.0)  # the arm stands, the hand opens


def require_settable(spread: Spread) -> None:
    """Raise when the spread varies what physics fixes as it starts."""
    fixed = [name for name in ("friction", "mass") if getattr(spread, name) != (1.0, 1.0)]
    if fixed:
        raise SceneError(
            f"the conditions vary {' and '.join(fixed)} from episode to episode, and a batch is built once:"
            " PhysX on a GPU takes them before it starts and never again; run these conditions in simulations"
            " of their own (--physics cpu), or take others"
        )


class _Cell:
    """What one cell is doing."""

    def __init__(self, scene: Scene, conditions: Conditions) -> None:
        self.scene = scene
        self.conditions = conditions
        self.progress = Progress()
        self.steps = 0  # of control
        self.move: Move | None = scene.move  # until it has been
        self.past: Memory[Array] = Memory()  # of (bodies, 7)
        self.truth: SceneTruth | None = None


class PutOnBatch(BatchWorld):
    def __init__(
        self,
        count: int,
        *,
        cameras: Mapping[str, PutOnCamera],
        rate_hz: float,
        physics: Physics = "gpu",
        render_backend: str = "gpu",
        look: Look = "fast",
        conditions: Spread | None = None,
    ) -> None:
        self.spread = Spread() if conditions is None else conditions
        require_settable(self.spread)
        super().__init__(
            count, cameras=cameras, rate_hz=rate_hz, physics=physics, render_backend=render_backend, look=look
        )
        self._cells: dict[int, _Cell] = {}
        self._now = self._physics.read()

    # Episodes

    def begin(self, scenes: Mapping[int, Scene]) -> None:
        """New episodes in these cells; the others are left where they stand."""
        cells = sorted(scenes)
        for cell in cells:
            self._cells[cell] = _Cell(scenes[cell], draw_conditions(self.spread, scenes[cell].seed))
            self._prepare(cell)
        with self._others_kept(cells):
            self._put_at_start(cells)
            self._now = self._physics.read()
            self._stand(cells)
            self._send(cells, np.tile(_OPENING, (len(cells), 1)))
            for _ in range(SETTLING_STEPS):
                self._physics.step()
            self._now = self._physics.read()
            impulses = self._physics.impulses(cells)
        self._stand(cells)
        for cell, of_cell in zip(cells, impulses, strict=True):
            self._cells[cell].truth = self._read_truth(cell, of_cell)

    def _prepare(self, cell: int) -> None:
        """Everything that physics does not know of, and how closely the arm follows."""
        scene, now = self._cells[cell].scene, self._cells[cell].conditions
        change_table_top(self._tops[cell], scene.table_texture)
        change_lamps(self.scene.sub_scenes[cell], self._lamps[cell], lamps_of(scene.light))
        for name, camera in self.put_on_cameras.items():
            made = self._sensors[name].camera._render_cameras[cell]
            made.set_local_pose(sapien_camera_pose(pose_in(scene, now, name, camera)))
            made.set_fovy(camera.vertical_field_of_view * now.field_of_view, compute_x=True)
        self.agent.follow(cell, stiffness=now.stiffness, damping=now.damping)
        self._targets.finger_speed[cell] = now.finger_speed

    def _put_at_start(self, cells: Sequence[int]) -> None:
        start = self._now.of(cells)
        start.joint_speeds[:] = 0.0
        start.bodies[:, :, 7:] = 0.0
        for row, cell in enumerate(cells):
            scene = self._cells[cell].scene
            placed = {placement.name: placement for placement in (*scene.objects, *scene.receptacles)}
            start.joints[row] = joints_at_start(scene.start)
            for number, name in enumerate(thing_names()):
                start.bodies[row, number, :7] = _seven(
                    pose_of(placed[name]) if name in placed else parked_pose(name)
                )
        self._physics.put(cells, start)
        self._physics.aim(cells, start.joints)

    def _stand(self, cells: Sequence[int]) -> None:
        self._targets.stand(self._index(cells), self._joints(cells))

    def _send(self, cells: Sequence[int], actions: Vector) -> None:
        sent = torch.tensor(actions, dtype=torch.float64, device=self.device)
        targets = self._targets.command(
            self._index(cells), sent, self._joints(cells), seconds=1.0 / self._rate_hz
        )
        self._physics.aim(cells, targets.cpu().numpy().astype(np.float32))

    def _joints(self, cells: Sequence[int]) -> torch.Tensor:
        return torch.tensor(self._now.joints[list(cells)], dtype=torch.float64, device=self.device)

    def _index(self, cells: Sequence[int]) -> torch.Tensor:
        return torch.tensor(list(cells), dtype=torch.long, device=self.device)

    def carry_out(self, actions: Mapping[int, Vector]) -> None:
        """A control step of these cells. Physics knows none that wait: the others are put back after it."""
        cells = sorted(actions)
        with self._others_kept(cells):
            self._send(cells, np.stack([actions[cell] for cell in cells]))
            for _ in range(round(PHYSICS_RATE_HZ / self._rate_hz)):
                self._physics.step()
                self._remember(cells)
            self._now = self._physics.read()
            impulses = self._physics.impulses(cells)
        for cell, of_cell in zip(cells, impulses, strict=True):
            self._after_step(cell, of_cell)

    @contextmanager
    def _others_kept(self, cells: Sequence[int]) -> Generator[None]:
        """Cells that are not named stand, move and hold afterwards as they did before."""
        others = [cell for cell in range(self.count) if cell not in cells]
        before = self._now.of(others)
        yield
        if others:
            self._physics.put(others, before)
            for name in ("bodies", "joints", "joint_speeds"):
                getattr(self._now, name)[others] = getattr(before, name)

    def _remember(self, cells: Sequence[int]) -> None:
        aged = [cell for cell in cells if self._cells[cell].conditions.camera_age > 0.0]
        if aged:
            bodies = self._physics.read().bodies[:, :, :7]
            for cell in aged:
                self._cells[cell].past.remember(1.0 / PHYSICS_RATE_HZ, bodies[cell])

    def _after_step(self, cell: int, impulses: Array) -> None:
        state = self._cells[cell]
        state.steps += 1
        truth = self._read_truth(cell, impulses)
        if state.move is not None and truth.time >= state.move.after:
            if not truth.is_grasped(state.move.to.name):
                self._move(cell, state.move.to)
                truth = self._read_truth(cell, impulses)
            state.move = None
        state.truth = truth
        state.progress = advance(state.progress, truth, state.scene)

    def _move(self, cell: int, to: Placement) -> None:
        """Somebody takes it and puts it there."""
        number = thing_names().index(to.name)
        self._now.bodies[cell, number] = [*_seven(pose_of(to)), *np.zeros(6)]
        self._physics.put([cell], self._now.of([cell]))

    def _read_truth(self, cell: int, impulses: Array) -> SceneTruth:
        state, bodies = self._cells[cell], self._now.bodies[cell]
        names = [placement.name for placement in (*state.scene.receptacles, *state.scene.objects)]
        rows = {name: bodies[thing_names().index(name)] for name in names}
        return SceneTruth(
            time=state.steps / self._rate_hz,
            poses={name: from_row(row) for name, row in rows.items()},
            speeds={name: float(np.linalg.norm(row[7:10])) for name, row in rows.items()},
            contacts=touching_pairs(impulses, self._watched),
            tcp_pose=from_row(bodies[self._hand]),
            commanded_tcp_pose=from_row(self._targets.pose[cell].cpu().numpy()),
            gripper_width=float(self._now.joints[cell, 7:9].sum()),
        )

    # What is known of a cell

    def truth(self, cell: int) -> SceneTruth:
        """As it is after the cell's last step."""
        truth = self._cell(cell).truth
        assert truth is not None
        return truth

    def progress(self, cell: int) -> Progress:
        return self._cell(cell).progress

    def conditions(self, cell: int) -> Conditions:
        return self._cell(cell).conditions

    def joint_position(self, cell: int) -> Vector:
        return self._now.joints[cell, :7].astype(np.float64)

    def base_from_camera(self, cell: int, name: str) -> Pose:
        """Where a camera really is in this episode, optical frame."""
        state, camera = self._cell(cell), self.put_on_cameras[name]
        pose = pose_in(state.scene, state.conditions, name, camera)
        return pose if camera.mount == "base" else from_row(self._now.bodies[cell, self._flange]) @ pose

    def _cell(self, cell: int) -> _Cell:
        if cell not in self._cells:
            raise SceneError(f"cell {cell} has no episode: it has to be reset first")
        return self._cells[cell]

    def draw(self, cells: Iterable[int]) -> dict[int, dict[str, Drawn]]:
        """Pictures of these cells, as old as their conditions say.

        Cell by cell, and not with ManiSkill's batched cameras: those keep light, texture and lens as they
        were at their first picture.
        """
        self._physics.show()
        return {cell: self._draw(cell) for cell in cells}

    def _draw(self, cell: int) -> dict[str, Drawn]:
        state = self._cell(cell)
        with self._shown(cell, state.past.then(state.conditions.camera_age)):
            self.scene.sub_scenes[cell].update_render()
            cameras = {name: s.camera._render_cameras[cell] for name, s in self._sensors.items()}
            for camera in cameras.values():
                camera.take_picture()
            masks = state.scene.dynamic_texture is not None
            return {name: self._drawn(cell, camera, masks) for name, camera in cameras.items()}

    def _drawn(self, cell: int, camera: sapien.render.RenderCameraComponent, masks: bool) -> Drawn:
        things = None
        if masks:
            numbers = camera.get_picture("PositionSegmentation")[..., 3]
            things = (numbers != 0) & (numbers != self._tables[cell]._objs[0].per_scene_id)
        return Drawn(picture=np.ascontiguousarray(camera.get_picture("Color")[..., :3]), things=things)

    @contextmanager
    def _shown(self, cell: int, bodies: Array | None) -> Generator[None]:
        """What is drawn stands so, physics does not."""
        if bodies is None:
            yield
            return
        sapien.set_log_level("error")  # it warns that physics on a GPU does not follow, as is meant
        try:
            _place(self._entities[cell], bodies)
            yield
        finally:
            _place(self._entities[cell], self._now.bodies[cell, :, :7])
            sapien.set_log_level("warn")


def _place(entities: Sequence[sapien.Entity], bodies: Array) -> None:
    for entity, row in zip(entities, bodies, strict=True):
        entity.set_pose(sapien.Pose(row[:3], row[3:7]))


def _seven(pose: sapien.Pose) -> Array:
    return np.concatenate([pose.p, pose.q])
