"""The physics of many cells behind a few calls: a PhysX system for each on the CPU, or one for all on a GPU.

On a GPU everything is read at once and written for the cells that are meant; nothing else knows which it is.
`CpuCells` is there so that all the rest can be run, with several cells, where there is no GPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import sapien
import torch
from mani_skill.envs.scene import ManiSkillScene

from robot_bridge.scene.truth import TABLE
from sim_train.put_on.batch_contacts import Watched, listed_impulses

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellBodies:
    """What stands in one cell."""

    scene: sapien.Scene
    things: Mapping[str, sapien.Entity]  # in the order of `thing_names`
    table: sapien.Entity
    links: Mapping[str, sapien.physx.PhysxArticulationLinkComponent]
    robot: sapien.physx.PhysxArticulation


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """Of some cells; things first, then the arm's links."""

    bodies: Array  # (cells, bodies, 13) position, quaternion w first, velocity [m/s], turning [rad/s]
    joints: Array  # (cells, 9) [rad], and [m] of the fingers
    joint_speeds: Array  # (cells, 9)

    def of(self, cells: Sequence[int]) -> "Instant":
        rows = list(cells)
        return Instant(
            bodies=self.bodies[rows], joints=self.joints[rows], joint_speeds=self.joint_speeds[rows]
        )


class BatchPhysics(Protocol):
    def step(self) -> None: ...

    def read(self) -> Instant:
        """Of all cells."""
        ...

    def impulses(self, cells: Sequence[int]) -> Array:
        """(cells, pairs, 3) [Ns] of the last step, of each pair that is watched."""
        ...

    def put(self, cells: Sequence[int], instant: Instant) -> None:
        """Things and arms of these cells stand and move so; links follow their joints."""
        ...

    def aim(self, cells: Sequence[int], joints: Array) -> None:
        """(cells, 9) to which the joints' drives pull from now on."""
        ...

    def show(self) -> None:
        """What is drawn stands where physics has it."""
        ...


class CpuCells:
    def __init__(self, cells: Sequence[CellBodies], watched: Sequence[Watched]) -> None:
        self._cells = cells
        self._things = [[(entity, _dynamic(entity)) for entity in cell.things.values()] for cell in cells]
        self._numbers = {pair.bodies: number for number, pair in enumerate(watched)}
        self._names = [
            {
                **{entity: name for name, entity in cell.things.items()},
                **{link.entity: name for name, link in cell.links.items()},
                cell.table: TABLE,
            }
            for cell in cells
        ]

    def step(self) -> None:
        for cell in self._cells:
            cell.scene.physx_system.step()

    def read(self) -> Instant:
        return Instant(
            bodies=np.stack([self._bodies(number) for number in range(len(self._cells))]),
            joints=np.stack([cell.robot.qpos for cell in self._cells]),
            joint_speeds=np.stack([cell.robot.qvel for cell in self._cells]),
        )

    def _bodies(self, number: int) -> Array:
        things = [
            np.concatenate([entity.pose.p, entity.pose.q, body.linear_velocity, body.angular_velocity])
            for entity, body in self._things[number]
        ]
        links = [
            np.concatenate(
                [link.entity.pose.p, link.entity.pose.q, link.linear_velocity, link.angular_velocity]
            )
            for link in self._cells[number].links.values()
        ]
        return np.stack([*things, *links]).astype(np.float32)

    def impulses(self, cells: Sequence[int]) -> Array:
        return np.stack(
            [
                listed_impulses(
                    self._cells[cell].scene.physx_system.get_contacts(), self._names[cell], self._numbers
                )
                for cell in cells
            ]
        )

    def put(self, cells: Sequence[int], instant: Instant) -> None:
        for row, cell in enumerate(cells):
            for (entity, body), now in zip(self._things[cell], instant.bodies[row]):
                entity.set_pose(sapien.Pose(now[:3], now[3:7]))
                body.set_linear_velocity(now[7:10])
                body.set_angular_velocity(now[10:13])
            self._cells[cell].robot.set_qpos(instant.joints[row])
            self._cells[cell].robot.set_qvel(instant.joint_speeds[row])

    def aim(self, cells: Sequence[int], joints: Array) -> None:
        for row, cell in enumerate(cells):
            for joint, target in zip(self._cells[cell].robot.active_joints, joints[row], strict=True):
                joint.set_drive_target(float(target))

    def show(self) -> None:
        """SAPIEN keeps them together."""


class GpuCells:
    """Not run so far: this project has met no GPU together with the library (docs/put_on.md)."""

    def __init__(
        self, scene: ManiSkillScene, cells: Sequence[CellBodies], watched: Sequence[Watched]
    ) -> None:
        self._scene = scene
        self._px = scene.px
        self._count = len(cells)
        self._things = len(cells[0].things)
        bodies = [[*(_dynamic(entity) for entity in c.things.values()), *c.links.values()] for c in cells]
        self._rows = self._index([[body.gpu_pose_index for body in of_cell] for of_cell in bodies])
        self._robots = self._index([cell.robot.gpu_index for cell in cells])
        pairs = [tuple(_body(cell, name) for name in pair.bodies) for cell in cells for pair in watched]
        self._query = self._px.gpu_create_contact_pair_impulse_query(pairs)

    def _index(self, numbers: object) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._scene.device)

    def step(self) -> None:
        self._px.step()

    def read(self) -> Instant:
        self._scene._gpu_fetch_all()
        return Instant(
            bodies=self._px.cuda_rigid_body_data.torch()[self._rows].cpu().numpy(),
            joints=self._px.cuda_articulation_qpos.torch()[self._robots].cpu().numpy(),
            joint_speeds=self._px.cuda_articulation_qvel.torch()[self._robots].cpu().numpy(),
        )

    def impulses(self, cells: Sequence[int]) -> Array:
        self._px.gpu_query_contact_pair_impulses(self._query)
        found = self._query.cuda_impulses.torch().reshape(self._count, -1, 3)
        return found[list(cells)].cpu().numpy()

    def put(self, cells: Sequence[int], instant: Instant) -> None:
        """All else is written as it was read just now, as ManiSkill does whenever cells are reset."""
        self._scene._gpu_fetch_all()
        rows, robots = self._rows[list(cells), : self._things], self._robots[list(cells)]
        things = instant.bodies[:, : self._things]
        self._px.cuda_rigid_body_data.torch()[rows] = self._on_device(things)
        self._px.cuda_articulation_qpos.torch()[robots] = self._on_device(instant.joints)
        self._px.cuda_articulation_qvel.torch()[robots] = self._on_device(instant.joint_speeds)
        self._scene._gpu_apply_all()
        self._px.gpu_update_articulation_kinematics()
        self._scene._gpu_fetch_all()

    def aim(self, cells: Sequence[int], joints: Array) -> None:
        robots = self._robots[list(cells)]
        self._px.cuda_articulation_target_qpos.torch()[robots] = self._on_device(joints)
        self._px.gpu_apply_articulation_target_position()

    def _on_device(self, values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._scene.device)

    def show(self) -> None:
        self._px.sync_poses_gpu_to_cpu()


def _dynamic(entity: sapien.Entity) -> sapien.physx.PhysxRigidDynamicComponent:
    found = entity.find_component_by_type(sapien.physx.PhysxRigidDynamicComponent)
    return cast(sapien.physx.PhysxRigidDynamicComponent, found)


def _body(cell: CellBodies, name: str) -> sapien.physx.PhysxRigidBaseComponent:
    if name in cell.links:
        return cell.links[name]
    return _dynamic(cell.table if name == TABLE else cell.things[name])
