"""The parts of a training step, each against what it promises."""

import numpy as np
import pytest
import torch
from torch import nn

from policy_server.image_resampling import centre_crop
from policy_server.model.decision import PolicyOutput
from robot_contract.errors import ContractError
from sim_train.sft.augmentation import centred, cropped, cropped_points, draw, recoloured
from sim_train.sft.epoch import Epochs, held_out, repeated
from sim_train.sft.losses import Counts, Targets, approach_errors, total_loss
from sim_train.sft.muon import Muon, orthogonalised
from sim_train.sft.optimisation import is_hidden_matrix, make_optimisers, rate_factor, set_rates
from sim_train.sft.recipe import OPENVLA_OFT_LIBERO, TINY_PUT_ON, Augmentation, LossWeights, Recipe
from sim_train.sft.statistics import statistics_of
from sim_train.sft.targets import heat_map_targets, position_bounds, position_numbers
from sim_train.stand_in import STAND_IN
from sim_train.suite_contract import contract_of_suite

torch.set_num_threads(1)


def pictures(count: int = 3, size: int = 24) -> torch.Tensor:
    draw_from = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, size, size, 3), generator=draw_from, dtype=torch.uint8)


def test_an_epoch_has_every_frame_once_and_the_approach_as_often_as_said() -> None:
    frames = np.arange(10, 20)
    often = np.arange(10) % 5 == 0
    indices = repeated(frames, often, 3)
    epochs = Epochs(indices, seed=1)
    steps = np.concatenate([epochs.batch(step, 7) for step in range(4)])[: 2 * len(indices)]
    for epoch in (steps[:14], steps[14:28]):
        assert sorted(epoch) == sorted(indices)
        assert [int((epoch == frame).sum()) for frame in (10, 11, 15)] == [3, 1, 3]
    assert list(steps[:14]) != list(steps[14:28])


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    forwards, backwards = Epochs(np.arange(50), seed=3), Epochs(np.arange(50), seed=3)
    wanted = [forwards.batch(step, 16) for step in range(9)]
    for step in reversed(range(9)):
        assert (backwards.batch(step, 16) == wanted[step]).all()
    assert (Epochs(np.arange(50), seed=4).batch(0, 16) != wanted[0]).any()


def test_validation_holds_out_whole_episodes() -> None:
    episode = np.repeat(np.arange(20), 5)
    kept = held_out(episode, share=0.2, seed=0)
    assert kept.sum() == 4 * 5
    assert all(len(set(kept[episode == number])) == 1 for number in range(20))
    assert not held_out(episode, share=0.0, seed=0).any()


def test_a_mark_is_shared_by_the_patches_around_it() -> None:
    nowhere = float("nan")
    pixels = torch.tensor([[[[0.40, 0.70], [nowhere, nowhere]]], [[[0.0, 1.0], [1.2, 0.5]]]])
    target, seen = heat_map_targets(pixels, side=8)
    assert seen.tolist() == [[True, False], [True, False]]
    torch.testing.assert_close(target.sum(dim=-1), seen.float())
    centres = (torch.arange(8) + 0.5) / 8
    grid = target[0, 0].view(8, 8)
    torch.testing.assert_close((grid.sum(dim=0) @ centres).item(), 0.40)
    torch.testing.assert_close((grid.sum(dim=1) @ centres).item(), 0.70)
    assert target[1, 0].view(8, 8)[7, 0] == 1.0  # in the corner, the corner's patch


def test_two_cameras_share_a_mark_that_both_see() -> None:
    both = torch.tensor([[[[0.5, 0.5]], [[0.1, 0.1]]]])
    one = torch.tensor([[[[0.5, 0.5]], [[float("nan"), 0.1]]]])
    assert heat_map_targets(both, side=4)[0].view(2, 16).sum(dim=1).tolist() == pytest.approx([0.5, 0.5])
    assert heat_map_targets(one, side=4)[0].view(2, 16).sum(dim=1).tolist() == pytest.approx([1.0, 0.0])


def test_position_bounds_are_those_of_what_is_known() -> None:
    marks = np.full((2, 2, 3), np.nan)
    marks[0, 0] = [0.4, -0.1, 0.02]
    marks[1, 0] = [0.6, 0.1, 0.02]
    low, high = position_bounds(marks)
    assert low == pytest.approx([0.4, -0.1, 0.02, 0.0, 0.0])
    assert high == pytest.approx([0.6, 0.1, 0.04, 1.0, 1.0])
    assert position_numbers(marks).shape == (2, 5)


def test_colours_change_as_seed_and_step_say_and_stay_where_nothing_is_drawn() -> None:
    x = pictures()
    assert torch.equal(recoloured(x, centred(3)), x)
    one = draw(Augmentation(), 3, seed=0, step=5, camera=0)
    again = draw(Augmentation(), 3, seed=0, step=5, camera=0)
    changed = recoloured(x, one)
    assert torch.equal(changed, recoloured(x, again))
    assert not torch.equal(changed, recoloured(x, draw(Augmentation(), 3, seed=0, step=6, camera=0)))
    assert torch.equal(changed[1:], recoloured(x[1:], one[1:]))
    nothing = Augmentation(brightness=0, contrast=0, saturation=0, hue=0, tint=0)
    still = recoloured(x, draw(nothing, 3, seed=0, step=5, camera=0))
    assert (still.int() - x.int()).abs().max() <= 1


def test_a_change_of_hue_keeps_grey_grey() -> None:
    grey = pictures()[..., :1].expand(-1, -1, -1, 3).contiguous()
    hue = Augmentation(brightness=0, contrast=0, saturation=0.2, hue=0.5, tint=0)
    changed = recoloured(grey, draw(hue, 3, seed=0, step=0, camera=0))
    assert (changed.int() - grey.int()).abs().max() <= 1


def test_the_centred_crop_is_the_served_one_and_points_move_with_their_pixels() -> None:
    x = pictures()
    served = centre_crop(x, 0.9)
    assert (cropped(x, centred(3), 0.9).int() - served.int()).abs().max() <= 1
    dot = torch.zeros(1, 40, 40, 3, dtype=torch.uint8)
    dot[0, 12:15, 24:27] = 255
    one = draw(Augmentation(), 1, seed=0, step=0, camera=0)
    grid = cropped(dot, one, 0.5)[0, :, :, 0].float()
    seen_x = (grid.sum(dim=0) @ (torch.arange(40) + 0.5) / 40 / grid.sum()).item()
    seen_y = (grid.sum(dim=1) @ (torch.arange(40) + 0.5) / 40 / grid.sum()).item()
    points = torch.tensor([[[25.5 / 40, 13.5 / 40], [float("nan"), 0.0]]])
    moved = cropped_points(points, one, 0.5)[0, 0].tolist()
    assert moved == pytest.approx([seen_x, seen_y], abs=0.02)


def test_muon_is_torchs_muon_in_float32() -> None:
    draw_from = torch.Generator().manual_seed(0)
    shapes = [(32, 48), (48, 32), (32, 48)]
    start = [torch.randn(shape, generator=draw_from) for shape in shapes]
    ours = [nn.Parameter(x.clone()) for x in start]
    theirs = [nn.Parameter(x.clone()) for x in start]
    mine = Muon(ours, lr=0.02, weight_decay=0.1)
    oracle = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, theirs):
            a.grad = torch.randn(a.shape, generator=draw_from)
            b.grad = a.grad.clone()
        mine.step()
        oracle.step()
    for a, b, x in zip(ours, theirs, start):
        moved = (b - x).norm()
        assert (a - b).norm() < 0.03 * moved  # theirs is in bfloat16
        assert moved > 0


def test_what_muon_orthogonalises_has_singular_values_near_one() -> None:
    x = torch.randn(4, 24, 64, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(x))
    assert values.min() > 0.6
    assert values.max() < 1.4


def test_muon_gets_hidden_matrices_alone() -> None:
    wide, thin, vector = torch.zeros(64, 64), torch.zeros(7, 128), torch.zeros(64)
    assert is_hidden_matrix("language_model.model.layers.0.mlp.up_proj.weight", wide)
    assert not is_hidden_matrix("language_model.model.embed_tokens.weight", wide)
    assert not is_hidden_matrix("action_head.model.fc2.weight", thin)
    assert not is_hidden_matrix("projector.fc1.bias", vector)
    named = [("a.weight", nn.Parameter(wide)), ("b.weight", nn.Parameter(thin))]
    assert [type(o).__name__ for o in make_optimisers(named, TINY_PUT_ON)] == ["Muon", "AdamW"]
    assert [type(o).__name__ for o in make_optimisers(named, OPENVLA_OFT_LIBERO)] == ["AdamW"]


def test_rates_warm_up_and_end_at_nothing_or_at_a_tenth() -> None:
    last = TINY_PUT_ON.steps
    assert rate_factor(0, TINY_PUT_ON) == pytest.approx(1 / 60)
    assert rate_factor(60, TINY_PUT_ON) == pytest.approx(1.0)
    assert rate_factor(last, TINY_PUT_ON) == pytest.approx(0.0)
    assert rate_factor(99_999, OPENVLA_OFT_LIBERO) == 1.0
    assert rate_factor(100_000, OPENVLA_OFT_LIBERO) == pytest.approx(0.1)
    optimisers = make_optimisers([("b.weight", nn.Parameter(torch.zeros(7, 128)))], OPENVLA_OFT_LIBERO)
    set_rates(optimisers, 0.1)
    set_rates(optimisers, 0.1)  # a factor of the full rate, not of the last one
    assert optimisers[0].param_groups[0]["lr"] == pytest.approx(5e-5)


def test_statistics_have_room_where_the_demonstrations_hardly_varied() -> None:
    contract = contract_of_suite(STAND_IN, name="stand-in", cameras=("external",))
    actions = np.tile([0.01, 0.0, 0.0, 0.001, 0.0, 0.0, 1.0], (50, 1))
    state = np.tile([0.5, 0.0, 0.1, 3.1, 0.0, 0.0, 1.0, 1.0], (50, 1))
    state[:, 1] = np.linspace(-0.2, 0.2, 50)
    steps = statistics_of(actions, state, contract, "step_bounds")
    assert steps.action_high.tolist() == [0.018, 0.018, 0.018, 0.04, 0.04, 0.04, 1.0]
    assert statistics_of(actions, state, contract, "bounds").action_high[0] == pytest.approx(0.01)
    assert steps.proprioception_low[:2] == pytest.approx([0.45, -0.2])
    assert steps.proprioception_high[3] == pytest.approx(3.3)
    assert (steps.proprioception_low[6:] == 0.0).all()
    assert (steps.proprioception_high[6:] == 1.0).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "steps: expected at least 1, found 0"),
        ({"batch": 10, "accumulate": 3}, "expected a multiple of accumulate, found 10 and 3"),
        ({"approach_weight": 0}, "approach_weight: expected at least 1"),
        ({"log_every": 0}, "log_every: expected at least 1"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(change: dict[str, int], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        Recipe(**{**vars(TINY_PUT_ON), **change})


def two_rows() -> tuple[PolicyOutput, Targets, Counts]:
    """The second row approaches a thing of which only the first row knows where it is."""
    target, seen = heat_map_targets(
        torch.tensor([[[[0.3, 0.3], [0.6, 0.6]]], [[[0.5, 0.5], [float("nan"), 0.0]]]]), side=4
    )
    positions = torch.tensor([[0.5] * 5, [0.5, 0.5, *[float("nan")] * 3]])
    out = PolicyOutput(
        actions=torch.zeros(2, 8, 7),
        log_probs=None,
        entropy=None,
        values=None,
        heat_maps=torch.zeros(2, 2, 16, requires_grad=True),
        positions=torch.zeros(2, 5, requires_grad=True),
    )
    actions = torch.full((2, 8, 7), 0.25)
    actions[1, :, :2] = 0.5
    targets = Targets(
        actions=actions,
        heat_maps=target,
        seen=seen,
        positions=positions,
        approaching=torch.tensor([False, True]),
    )
    return out, targets, Counts(rows=2, seen=3, positions=7, approaching=1)


def test_what_is_unknown_counts_nowhere() -> None:
    out, targets, counts = two_rows()
    total, parts = total_loss(out, targets, counts, LossWeights())
    assert parts["heat_maps"].item() == pytest.approx(np.log(16))
    assert parts["positions"].item() == pytest.approx(0.5)
    assert parts["action"].item() == pytest.approx((0.25 * 7 + (0.25 * 5 + 0.5 * 2)) / 14)
    total.backward()
    assert out.positions is not None
    assert out.positions.grad is not None
    assert out.positions.grad.isfinite().all()
    assert (out.positions.grad[1, 2:] == 0.0).all()


def test_approach_errors_are_of_approach_frames_alone() -> None:
    out, targets, counts = two_rows()
    errors = approach_errors(out, targets, counts, half_range_5=torch.full((5,), 0.2))
    assert errors["approach_xy"].item() == pytest.approx(0.5)
    assert errors["approach_object"].item() == pytest.approx(0.2 * 0.5 * 2**0.5)
    assert errors["gripper"].item() == pytest.approx(0.25)


def test_the_losses_of_parts_add_up_to_the_loss_of_the_whole() -> None:
    out, targets, counts = two_rows()
    whole, _ = total_loss(out, targets, counts, LossWeights())
    halves = []
    for rows in (slice(0, 1), slice(1, 2)):
        assert out.heat_maps is not None
        assert out.positions is not None
        half = PolicyOutput(
            actions=out.actions[rows],
            log_probs=None,
            entropy=None,
            values=None,
            heat_maps=out.heat_maps[rows],
            positions=out.positions[rows],
        )
        part = Targets(**{name: value[rows] for name, value in vars(targets).items()})
        halves.append(total_loss(half, part, counts, LossWeights())[0])
    torch.testing.assert_close(sum(halves), whole)
