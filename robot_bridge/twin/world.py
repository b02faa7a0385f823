"""The digital twin: a cell that looks, moves and fails like the real one, behind the device protocols.

Made from a `Scene`; `arm`, `gripper` and `cameras` are devices, `clock` is the bridge's clock, `truth` and
`progress` say what really happened. Close it, or use it in a `with` statement.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from robot_bridge.clock import Clock
from robot_bridge.scene.scene import Placement, Scene
from robot_bridge.scene.success import Progress, advance
from robot_bridge.scene.truth import ARM, SceneTruth
from robot_bridge.twin.arm import Link, TwinArm, TwinGripper
from robot_bridge.twin.camera import TwinCamera
from robot_bridge.twin.cell import GAP, build_cell
from robot_bridge.twin.drawing import Drawing
from robot_bridge.twin.faults import Faults
from robot_bridge.twin.pace import RealPace, SteppedPace
from robot_bridge.twin.physics import Physics
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.start import start_joints
from robot_bridge.twin.truth import TruthReader
from robot_contract.errors import SceneError, nearest_name

_JUDGE_EVERY = 20  # steps between two looks at the truth
_SETTLE_SECONDS = 0.15  # for things to come to rest before an episode begins


@dataclass(frozen=True, kw_only=True)
class Collision:
    """A part of the arm, fingers excepted, began to touch something."""

    time: float  # [s] since the scene began
    what: str


class TwinWorld:
    def __init__(self, scene: Scene, settings: TwinSettings | None = None) -> None:
        self.settings = settings or TwinSettings()
        arm, gripper, cameras = self.settings.arm, self.settings.gripper, self.settings.cameras
        model = build_cell(scene, cameras, self.settings.posters)
        start = start_joints(model, scene.start)
        physics = self._physics = Physics(model, arm, gripper, start, gripper.largest_width)
        pace_of: type[SteppedPace | RealPace] = SteppedPace if self.settings.clock == "stepped" else RealPace
        pace = self._pace = pace_of(self._advance, lambda: physics.steps, physics.period)
        self._drawing = None
        self.cameras: dict[str, TwinCamera] = {}
        if cameras:
            width, height = max(c.width for c in cameras.values()), max(c.height for c in cameras.values())
            drawing = self._drawing = Drawing(self.settings.gl, width, height)
            eager = self.settings.clock == "real"
            for name, camera in cameras.items():
                self.cameras[name] = TwinCamera(name, camera, drawing, now=pace.simulated_now, eager=eager)
        link = Link()
        self.clock: Clock = pace
        self.arm = TwinArm(physics, link, pace, when_closed=self.close)
        self.gripper = TwinGripper(physics, link, pace)
        self.faults = Faults(physics, link, self.cameras, pace)
        self._begin(scene)
        pace.start()

    def reset(self, scene: Scene) -> None:
        """Build this scene and begin anew in it; time goes on, faults of the arm and of tests are gone."""
        model = build_cell(scene, self.settings.cameras, self.settings.posters)
        start = start_joints(model, scene.start)
        with self._physics.lock:
            self.faults.clear()
            self._physics.load(model, start, self.settings.gripper.largest_width)
            self._begin(scene)

    def start_episode(self) -> None:
        """Count the time, the progress and a mid-episode move from now; a reset does so by itself."""
        with self._physics.lock:
            self._began = self._physics.time
            self._progress = Progress()
            self._collisions: list[Collision] = []
            self._touching: frozenset[tuple[str, str]] = frozenset()
            self._move = self.scene.move
            self._next_judgement = self._physics.steps
            self._plan_events()

    def truth(self) -> SceneTruth:
        """Poses, speeds and contacts as they are now."""
        with self._physics.lock:
            physics = self._physics
            return self._reader.read(
                physics.data, time=physics.time - self._began, commanded_flange=physics.latest.target
            )

    @property
    def progress(self) -> Progress:
        """How far the episode came, by the definitions of training."""
        return self._progress

    @property
    def collisions(self) -> tuple[Collision, ...]:
        """What the arm itself has run into since the episode began."""
        return tuple(self._collisions)

    @property
    def real_time_factor(self) -> float | None:
        """Simulated over real seconds; None on the stepped clock."""
        return self._pace.real_time_factor

    def place(self, placement: Placement) -> None:
        """Take a thing and stand it somewhere else on the table."""
        names = [p.name for p in (*self.scene.objects, *self.scene.receptacles)]
        if placement.name not in names:
            raise SceneError(f"{placement.name!r} is not in the scene; {nearest_name(placement.name, names)}")
        half = placement.yaw / 2
        with self._physics.lock:
            data = self._physics.data
            joint = data.joint(placement.name)
            joint.qpos = [placement.x, placement.y, GAP, np.cos(half), 0.0, 0.0, np.sin(half)]
            joint.qvel = np.zeros(6)

    def close(self) -> None:
        """End the threads and give the graphics back; closing twice does no harm."""
        self._pace.close()
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, scene: Scene) -> None:
        """Show the model that the physics holds; the first pictures are exposed at this instant."""
        physics = self._physics
        self.scene = scene
        self._reader = TruthReader(physics.model, tuple(p.name for p in (*scene.objects, *scene.receptacles)))
        if self._drawing is not None:
            self._drawing.load(physics.model)
        physics.settle(_SETTLE_SECONDS)
        for camera in self.cameras.values():
            camera.restart(scene, physics.time)
        self.start_episode()
        self._happen()

    def _advance(self, steps: int) -> None:
        physics = self._physics
        with physics.lock:
            for _ in range(steps):
                physics.step()
                if physics.steps >= self._next_event:
                    self._happen()
            physics.publish()

    def _happen(self) -> None:
        """Whatever is due: pictures, a look at the truth, somebody moving an object."""
        physics = self._physics
        now = physics.time
        for camera in self.cameras.values():
            if now >= camera.due:
                camera.expose(now, self._pace.bridge_time(now), np.array(physics.data.qpos))
        if physics.steps >= self._next_judgement:
            self._judge()
        if self._move is not None and now - self._began >= self._move.after:
            move, self._move = self._move, None
            if not self.truth().is_grasped(move.to.name):
                self.place(move.to)
        self._plan_events()

    def _judge(self) -> None:
        self._next_judgement = self._physics.steps + _JUDGE_EVERY
        truth = self.truth()
        self._progress = advance(self._progress, truth, self.scene)
        touching = frozenset(pair for pair in truth.contacts if ARM in pair)
        for a, b in touching - self._touching:
            self._collisions.append(Collision(time=truth.time, what=b if a == ARM else a))
        self._touching = touching

    def _plan_events(self) -> None:
        period = self._physics.period
        due = [camera.due for camera in self.cameras.values()]
        if self._move is not None:
            due.append(self._began + self._move.after)
        self._next_event = min([self._next_judgement, *(int(np.ceil(t / period - 1e-6)) for t in due)])
