"""The arm's tracking law: Cartesian impedance with a null-space posture, torques out, once per physics step.

Also the arm's estimate of external forces, which needs the same Jacobian. The arrays live as long as the law
does; the Jacobian and the small linear algebra come from MuJoCo's C side.
"""

import mujoco
import numpy as np

from robot_bridge.twin.reference import Reference
from robot_bridge.twin.settings import ArmSettings
from robot_contract.pose import Vector

JOINTS = 7
_REGULARISATION = 1e-3  # [m^2], keeps J J^T solvable at a singularity
_ESTIMATE_SECONDS = 0.01  # time constant of the external torque estimate


class ImpedanceLaw:
    """Works on the first seven degrees of freedom of the model and the site `flange`."""

    def __init__(self, model: mujoco.MjModel, settings: ArmSettings) -> None:
        self._model = model
        self.site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "flange")
        self._settings = settings
        k = np.array([settings.translational_stiffness] * 3 + [settings.rotational_stiffness] * 3)
        self._stiffness = k
        inertia = np.array([settings.damped_mass] * 3 + [settings.damped_inertia] * 3)
        self._damping = 2 * settings.damping_ratio * np.sqrt(k * inertia)
        self._posture_damping = 2 * np.sqrt(settings.posture_stiffness)
        self._viscous = np.array(
            model.dof_damping[:JOINTS]
        )  # compensated, as the arm compensates its friction
        self._blend = float(model.opt.timestep) / _ESTIMATE_SECONDS
        self.jacobian = np.zeros((6, model.nv))
        self._position_rows, self._rotation_rows = self.jacobian[:3], self.jacobian[3:]
        self._arm = self.jacobian[:, :JOINTS]
        self._gram = np.zeros((6, 6))
        self._diagonal = np.einsum("ii->i", self._gram)
        self._factor = np.zeros((6, 6))
        self._solution = np.zeros(6)
        self._error = np.zeros(6)
        self._turn = np.zeros(3)
        self.quaternion = np.zeros(4)  # of the flange, MuJoCo's order: w first
        self.external_torque = np.zeros(JOINTS)
        self.external_wrench = np.zeros(6)  # base frame, at the flange

    def reset(self) -> None:
        self.external_torque[:] = 0
        self.external_wrench[:] = 0

    def observe(self, data: mujoco.MjData) -> None:
        """Take the flange's pose and Jacobian and resolve the external force there; call after mj_step1."""
        mujoco.mj_jacSite(self._model, data, self._position_rows, self._rotation_rows, self.site)
        mujoco.mju_mat2Quat(self.quaternion, data.site_xmat[self.site])
        np.dot(self._arm, self._arm.T, out=self._gram)
        self._diagonal += _REGULARISATION
        self._factor[:] = self._gram
        mujoco.mju_cholFactor(self._factor, 0.0)
        mujoco.mju_cholSolve(self.external_wrench, self._factor, self._arm @ self.external_torque)

    def estimate(self, data: mujoco.MjData) -> None:
        """Update the external torques; call after mj_step2, before the constraints are made anew."""
        # What constraints do to the joints, less their own dry friction, is what the world does to the arm.
        equalities = data.ne
        outside = data.qfrc_constraint[:JOINTS] - data.efc_force[equalities : equalities + JOINTS]
        outside -= self.external_torque
        outside *= self._blend
        self.external_torque += outside

    def torques(self, data: mujoco.MjData, reference: Reference, posture: Vector) -> Vector:
        """Joint torques [Nm] that pull the flange to the reference."""
        s, error = self._settings, self._error
        np.subtract(reference.position, data.site_xpos[self.site], out=error[:3])
        mujoco.mju_subQuat(self._turn, reference.quaternion, self.quaternion)
        mujoco.mju_rotVecQuat(error[3:], self._turn, self.quaternion)
        _shorten(error[:3], s.largest_lag)
        _shorten(error[3:], s.largest_rotational_lag)
        speed = data.qvel[:JOINTS]
        force = self._stiffness * error
        force -= self._damping * (self._arm @ speed - s.feed_forward * reference.velocity)
        rest = s.posture_stiffness * (posture - data.qpos[:JOINTS])
        rest -= self._posture_damping * speed
        mujoco.mju_cholSolve(self._solution, self._factor, self._arm @ rest)
        force -= self._solution
        rest += self._arm.T @ force
        rest += data.qfrc_bias[:JOINTS]
        rest += self._viscous * speed
        return rest


def _shorten(vector: Vector, longest: float) -> None:
    length = float(np.sqrt(vector @ vector))
    if length > longest:
        vector *= longest / length
