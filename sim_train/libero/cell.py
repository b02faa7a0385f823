"""One task's environment, as robosuite makes it: reset, carry out, draw. Everything here is in its own units.

Resets are cheap ones (`hard_reset=False`), which draw the same fixture poses as the costly ones, with the
gripper's ramp put back by hand. Nothing is drawn, and no OpenGL is touched, before the first picture.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Generator
from typing import Any

import mujoco
import numpy as np

from robot_contract.errors import SimulationUnavailable
from robot_contract.pose import Vector
from sim_train.libero.gl import settle_gl
from sim_train.libero.protocols import Protocol
from sim_train.libero.tasks import Task, initial_states
from sim_train.simulation import Picture

_FALL = 0.005  # [m] that a thing on its way down falls at least within _FALL_STEPS
_FALL_STEPS = 40  # of physics, 2 ms each
_HORIZON = 1_000_000  # the protocol's limit ends an episode, not robosuite's


class Cell:
    def __init__(self, task: Task, protocol: Protocol) -> None:
        settle_gl()
        with _quiet():
            from libero.libero.envs.env_wrapper import ControlEnv

            self._wrapper = ControlEnv(
                bddl_file_name=str(task.scene_file),
                has_offscreen_renderer=False,
                use_camera_obs=False,
                hard_reset=False,
                horizon=_HORIZON,
            )
        self.task = task
        self._protocol = protocol
        self._states = initial_states(task)
        self._generator_states: list[Any] = []  # of NumPy's global generator, after so many resets
        self._can_draw = False

    @property
    def environment(self) -> Any:
        """robosuite's."""
        return self._wrapper.env

    @property
    def model(self) -> mujoco.MjModel:
        return self.environment.sim.model._model

    @property
    def data(self) -> mujoco.MjData:
        return self.environment.sim.data._data

    @property
    def robot(self) -> Any:
        return self.environment.robots[0]

    def reset(self, state: int) -> None:
        """Begin at this official initial state, and wait as the protocol does."""
        self._place_fixtures(0 if self._protocol.fixture_draw == "first" else state)
        self._wrapper.set_init_state(self._states[state])
        settling = np.append(np.zeros(6), self._protocol.settle_gripper)
        for _ in range(self._protocol.settle_steps):
            self.environment.step(settling)
        falling = self.falling()
        if falling:
            raise SimulationUnavailable(
                f"{self.task.suite} task {self.task.number}, state {state}: {', '.join(falling)} still in the"
                f" air after {self._protocol.settle_steps} steps of settling; MuJoCo is {mujoco.__version__},"
                " and 3.3.7 lets everything come to rest"
            )

    def _place_fixtures(self, draw: int) -> None:
        """The reset that follows `draw` resets after the protocol's seed: a function of the episode alone.

        Stove, cabinet and rack are in no initial state; every reset places them anew, by NumPy's global
        generator. It is given back as it was found.
        """
        found = np.random.get_state()
        if not self._generator_states:
            np.random.seed(self._protocol.seed)
            self._generator_states.append(np.random.get_state())
        for before in range(min(draw, len(self._generator_states) - 1), draw + 1):
            np.random.set_state(self._generator_states[before])
            self.robot.gripper.current_action = np.zeros(1)  # a cheap reset keeps the last episode's
            self._wrapper.reset()
            if before + 1 == len(self._generator_states):
                self._generator_states.append(np.random.get_state())
        np.random.set_state(found)

    def step(self, action: Vector) -> bool:
        """One action in the environment's units; whether the task is done now."""
        return bool(self.environment.step(action)[2])

    def falling(self) -> list[str]:
        """Movable things that touch nothing and are on their way down."""
        model, data = self.model, self.data
        touching = {int(model.body_rootid[model.geom_bodyid[g]]) for g in data.contact.geom.ravel()}
        bodies = {name: int(self.environment.obj_body_id[name]) for name in self.environment.objects_dict}
        free = {name: body for name, body in bodies.items() if int(model.body_rootid[body]) not in touching}
        if not free:
            return []
        ahead = copy.copy(data)
        mujoco.mj_step(model, ahead, _FALL_STEPS)
        return [name for name, body in free.items() if data.xpos[body, 2] - ahead.xpos[body, 2] > _FALL]

    def draw(self, camera: str, size: int) -> Picture:
        """As robosuite hands it over: bottom row first."""
        if not self._can_draw:
            from robosuite.utils.binding_utils import MjRenderContextOffscreen

            context = MjRenderContextOffscreen(self.environment.sim, device_id=-1)
            context.vopt.geomgroup[0] = 0  # collision shapes
            context.vopt.geomgroup[1] = 1
            self._can_draw = True
        return self.environment.sim.render(camera_name=camera, width=size, height=size)

    def close(self) -> None:
        with _quiet():
            self._wrapper.close()


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """robosuite and LIBERO have much to say about files that nobody needs, and warn of themselves."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
