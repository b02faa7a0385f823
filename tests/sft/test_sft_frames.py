"""What is read from a data set is what was demonstrated, and every picture is as serving would see it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from policy_server.model.presets import TINY
from policy_server.model.tokenizer import word_tokenizer
from policy_server.preprocessing import Preprocessor
from robot_contract.errors import ContractError
from robot_contract.messages import CameraImage, Observation
from robot_contract.pose import Pose
from sim_train.sft.dataset_folder import open_dataset
from sim_train.sft.frames import NEAR, read_frames
from sim_train.sft.preparation import fitted_contract
from sim_train.sft.recipe import TINY_PUT_ON
from sim_train.sft.samples import Samples
from sim_train.stand_in import STAND_IN
from sim_train.suite_contract import contract_of_suite

torch.set_num_threads(1)
CONTRACT = contract_of_suite(STAND_IN, name="stand-in", cameras=("external",))


def rows_of(folder: Path) -> list[dict]:
    return [
        row
        for file in sorted((folder / "data").rglob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def test_frames_are_the_demonstrated_rows(few_demonstrations: Path) -> None:
    rows = rows_of(few_demonstrations)
    wanted = [row for row in rows if row["is_demonstration"]]
    frames = read_frames([few_demonstrations], CONTRACT, size=96)
    assert len(frames) == len(wanted) < len(rows)
    np.testing.assert_allclose(frames.chunks, [row["action.expert_chunk"] for row in wanted], atol=1e-7)
    np.testing.assert_allclose(frames.marks, [row["observation.marks"] for row in wanted], atol=1e-7)
    assert list(frames.row) == [row["index"] for row in wanted]
    far = [
        np.linalg.norm(np.subtract(row["observation.marks"][0][:2], row["observation.state"][:2])) > NEAR
        for row in wanted
    ]
    assert list(frames.approaching) == far
    assert 0 < sum(far) < len(far)


def test_a_served_sample_is_what_the_server_makes_of_the_same_observation(few_demonstrations: Path) -> None:
    frames = read_frames([few_demonstrations], CONTRACT, size=96)
    contract = fitted_contract(CONTRACT, frames, np.arange(len(frames)), TINY_PUT_ON)
    tokenizer = word_tokenizer(frames.instructions, TINY.tokens)
    samples = Samples(
        frames, contract, TINY, tokenizer, position_low=np.zeros(5) - 1, position_high=np.ones(5)
    )
    chosen = np.array([3, len(frames) - 1])
    sample = samples.served(chosen)

    rows = rows_of(few_demonstrations)
    observations = []
    for index in chosen:
        row = rows[frames.row[index]]
        state = np.array(row["observation.state"])
        image = CameraImage(
            jpeg=row["observation.images.external"]["bytes"], width=64, height=64, exposed_at=0.0
        )
        observations.append(
            Observation(
                policy="stand-in",
                session="test",
                sequence=1,
                observed_at=0.0,
                images={"external": image},
                tcp_pose=Pose(position=state[:3], quaternion=state[3:7]),
                joint_position=np.array(row["observation.joint_position"]),
                gripper_width=state[7],
                gripper_command=state[8],
                instruction=frames.instructions[frames.instruction[index]],
                deadline=1.0,
            )
        )
    served = Preprocessor(contract, TINY, tokenizer).prepare(observations)
    assert torch.equal(sample.x.pixels, served.pixels)
    assert torch.equal(sample.x.tokens, served.tokens)
    assert torch.equal(sample.x.mask, served.mask)
    torch.testing.assert_close(sample.x.proprio, served.proprio)


def test_several_folders_are_joined_and_pictures_decoded_once(few_demonstrations: Path) -> None:
    alone = read_frames([few_demonstrations], CONTRACT, size=96)
    files = list((few_demonstrations / ".pictures").iterdir())
    written_at = files[0].stat().st_mtime_ns
    both = read_frames([few_demonstrations, few_demonstrations], CONTRACT, size=96)
    assert len(both) == 2 * len(alone)
    assert len(np.unique(both.episode)) == 2 * len(np.unique(alone.episode))
    assert list((few_demonstrations / ".pictures").iterdir()) == files
    assert files[0].stat().st_mtime_ns == written_at
    last = np.array([len(both) - 1])
    assert (both.pictures_of(last, 0) == alone.pictures_of(np.array([len(alone) - 1]), 0)).all()


def copied(folder: Path, to: Path, *, without: tuple[str, ...] = (), fps: int = 5) -> Path:
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns(".pictures"))
    info = json.loads((to / "meta/info.json").read_text())
    info["fps"] = fps
    info["features"] = {name: value for name, value in info["features"].items() if name not in without}
    (to / "meta/info.json").write_text(json.dumps(info))
    return to


def test_without_expert_chunks_the_actions_that_followed_are_the_chunk(
    few_demonstrations: Path, tmp_path: Path
) -> None:
    folder = copied(few_demonstrations, tmp_path / "plain", without=("action.expert_chunk",), fps=10)
    rows = rows_of(folder)
    frames = read_frames([folder], CONTRACT, size=96)
    first = rows[frames.row[0]]["index"]
    np.testing.assert_allclose(
        frames.chunks[0], [row["action"] for row in rows[first : first + 8]], atol=1e-7
    )
    for index in frames.row:  # never over the end of an episode
        assert rows[index]["episode_index"] == rows[index + 7]["episode_index"]


@pytest.mark.parametrize(
    ("without", "fps", "sentence"),
    [
        (("action.expert_chunk",), 5, "expected 10 frames a second, one per action of the policy, found 5"),
        (("observation.images.external",), 5, r"expected cameras \['external'\], found \[\]"),
        (("action",), 5, "expected a column 'action', found"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    few_demonstrations: Path, tmp_path: Path, without: tuple[str, ...], fps: int, sentence: str
) -> None:
    folder = copied(few_demonstrations, tmp_path / "other", without=without, fps=fps)
    with pytest.raises(ContractError, match=sentence):
        read_frames([folder], CONTRACT, size=96)


def test_an_unfinished_data_set_is_refused(few_demonstrations: Path, tmp_path: Path) -> None:
    folder = copied(few_demonstrations, tmp_path / "unfinished")
    (folder / "meta/info.json").unlink()
    with pytest.raises(ContractError, match=r"expected a finished LeRobotDataset v3.0, found no meta"):
        open_dataset(folder)


def test_another_picture_size_than_the_contract_says_is_refused(
    few_demonstrations: Path, tmp_path: Path
) -> None:
    folder = copied(few_demonstrations, tmp_path / "small")
    file = folder / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    broken = table.to_pylist()
    broken[0]["observation.images.external"]["bytes"] = b"no picture"
    pq.write_table(pa.Table.from_pylist(broken, schema=table.schema), file)
    with pytest.raises(ValueError, match="expected a JPEG picture"):
        read_frames([folder], CONTRACT, size=96)
    assert not list((folder / ".pictures").iterdir())
