"""The Gymnasium ids of put-on: one per split, for whoever brings an own training loop.

Import this module, then `gymnasium.make("TouchdownPutOn-unseen_table-v1", obs_mode="rgb")`.
"""

from mani_skill.utils.registration import register_env

from robot_bridge.scene.protocol import EPISODE_STEPS
from robot_bridge.scene.splits import split_names
from sim_train.put_on.environment import PutOnEnv

IDS = {split: f"TouchdownPutOn-{split}-v1" for split in split_names()}

for _split, _id in IDS.items():
    register_env(_id, max_episode_steps=EPISODE_STEPS, split=_split)(PutOnEnv)
