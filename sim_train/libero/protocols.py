"""How LIBERO is evaluated by those who publish on it: one row per stack, read in its sources.

Success rates of two stacks compare only where their rows are equal. `OPENVLA_OFT` is what this package runs
unless it is told otherwise; docs/libero.md says what of each row is carried out where.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

# Which draw of the fixtures' poses an episode gets; they are in no initial state (docs/libero.md).
FixtureDraw = Literal["of_the_initial_state", "first"]
Decoding = Literal["greedy", "sampled"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    name: str
    step_limits: Mapping[str, int]  # by suite; the policy's own steps, settling not counted
    settle_steps: int  # after the reset, before the policy is asked
    settle_gripper: float  # the environment's own: -1 opens, 0 leaves the fingers where the reset put them
    seed: int  # of NumPy's global generator, once per task; it places the fixtures and nothing else
    fixture_draw: FixtureDraw
    picture_size: int  # [px] drawn, both sides
    turned: bool  # pictures by 180 degrees, as the policies' training data were
    jpeg: bool  # encoded and decoded once, quality 95, before resizing
    model_size: int  # [px] after Lanczos resizing with antialiasing
    crop_area: float  # of the middle, resized back bilinearly; 1.0 leaves the picture as it is
    pictures: int  # that its published policies look at: 1 is agentview alone, 2 adds the wrist's
    proprioception: bool  # position, rotation vector, both fingers
    chunk: int  # actions, all carried out open loop
    gripper_threshold: float  # opening under it closes, over it opens; equal leaves it
    decoding: Decoding
    temperature: float  # of sampling; 0 where nothing is sampled
    trials_per_task: int
    source: str


OPENVLA_OFT = Protocol(
    name="openvla-oft",
    step_limits=MappingProxyType(
        {
            "libero_spatial": 220,
            "libero_object": 280,
            "libero_goal": 300,
            "libero_10": 520,
            "libero_90": 400,
        }
    ),
    settle_steps=10,
    settle_gripper=-1.0,
    seed=0,
    fixture_draw="of_the_initial_state",
    picture_size=256,
    turned=True,
    jpeg=True,
    model_size=224,
    crop_area=0.9,
    pictures=2,
    proprioception=True,
    chunk=8,
    gripper_threshold=0.5,
    decoding="greedy",
    temperature=0.0,
    trials_per_task=50,
    source="moojink/openvla-oft, experiments/robot/libero/run_libero_eval.py",
)

SIMPLE_VLA_RL = Protocol(
    name="simplevla-rl",
    step_limits=MappingProxyType(
        dict.fromkeys(("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90"), 512)
    ),
    settle_steps=10,
    settle_gripper=-1.0,
    seed=0,
    fixture_draw="first",  # every episode has a process of its own
    picture_size=256,
    turned=True,
    jpeg=True,
    model_size=224,
    crop_area=0.9,
    pictures=1,
    proprioception=False,
    chunk=8,
    gripper_threshold=0.5,
    decoding="greedy",  # its training rollouts are sampled at temperature 1.6
    temperature=0.0,
    trials_per_task=50,
    source="PRIME-RL/SimpleVLA-RL, verl/workers/rollout/rob_rollout.py",
)

RLINF = Protocol(
    name="rlinf",
    step_limits=MappingProxyType(
        {
            "libero_spatial": 240,
            "libero_object": 240,
            "libero_goal": 320,
            "libero_10": 512,  # its evaluation file of this suite: 520
            "libero_90": 512,
        }
    ),
    settle_steps=15,
    settle_gripper=-1.0,  # 0 in its evaluation file of libero_10
    seed=0,
    fixture_draw="first",  # its environments go on drawing from episode to episode; no episode fixes the pose
    picture_size=256,
    turned=True,
    jpeg=False,
    model_size=224,
    crop_area=0.9,
    pictures=1,
    proprioception=False,
    chunk=8,
    gripper_threshold=0.5,
    decoding="sampled",
    temperature=1.6,
    trials_per_task=50,
    source="RLinf/RLinf, rlinf/envs/libero/libero_env.py",
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (OPENVLA_OFT, SIMPLE_VLA_RL, RLINF)}
)
