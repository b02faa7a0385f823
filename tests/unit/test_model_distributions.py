import math

import numpy as np
import pytest
import torch

from policy_server.model.distributions import BinDistribution, LaplaceDistribution, action_bins, bin_actions

BINS = 256


def published_token_ids(actions: np.ndarray) -> np.ndarray:
    """The published tokenizer: 256 edges from -1 to 1, id = 32000 - digit."""
    return 32000 - np.digitize(np.clip(actions, -1.0, 1.0), np.linspace(-1.0, 1.0, BINS))


def published_actions(ids: np.ndarray) -> np.ndarray:
    edges = np.linspace(-1.0, 1.0, BINS)
    centres = (edges[:-1] + edges[1:]) / 2.0
    return centres[np.clip(32000 - ids - 1, 0, len(centres) - 1)]


def test_bins_are_the_published_token_ids():
    actions = np.concatenate([np.linspace(-1.2, 1.2, 4001), np.linspace(-1.0, 1.0, BINS)])
    ours = action_bins(torch.from_numpy(actions), BINS).numpy() + 32000 - BINS
    assert np.array_equal(ours, published_token_ids(actions))


def test_every_bin_means_the_published_action():
    ids = np.arange(32000 - BINS, 32000)
    ours = bin_actions(torch.arange(BINS), BINS).numpy()
    assert np.allclose(ours, published_actions(ids), atol=1e-7)


def test_the_round_trip_errs_by_half_a_bin_at_most():
    actions = torch.linspace(-1, 1, 10001, dtype=torch.float64)
    error = (bin_actions(action_bins(actions, BINS), BINS) - actions).abs().max().item()
    assert error <= 1.0 / 255 + 1e-7


def test_bin_log_probabilities_are_those_of_the_tempered_softmax():
    logits = torch.randn(2, 3, 7, BINS, generator=torch.Generator().manual_seed(0))
    distribution = BinDistribution.from_logits(logits, 1.6)
    choices = distribution.sample(torch.Generator().manual_seed(1))
    oracle = torch.distributions.Categorical(logits=logits / 1.6)
    assert torch.allclose(distribution.log_prob(choices), oracle.log_prob(choices), atol=1e-6)
    assert torch.allclose(distribution.entropy(), oracle.entropy(), atol=1e-5)
    assert torch.equal(distribution.mode(), logits.argmax(-1))


def test_bins_are_sampled_as_often_as_they_are_likely():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0]).expand(1, 1, 1, 4)
    tempered = BinDistribution.from_logits(logits, 2.0)
    draws = torch.stack([tempered.sample(torch.Generator().manual_seed(i)) for i in range(4000)])
    shares = torch.bincount(draws.flatten(), minlength=4) / 4000
    assert torch.allclose(shares, (logits[0, 0, 0] / 2.0).softmax(-1), atol=0.03)


def test_the_laplace_distribution_equals_torchs():
    draw = torch.Generator().manual_seed(0)
    mean, log_scale = torch.randn(2, 3, 7, generator=draw), torch.randn(2, 3, 7, generator=draw)
    distribution = LaplaceDistribution(mean=mean, log_scale=log_scale)
    oracle = torch.distributions.Laplace(mean, log_scale.exp())
    choices = distribution.sample(draw)
    assert torch.allclose(distribution.log_prob(choices), oracle.log_prob(choices), atol=1e-5)
    assert torch.allclose(distribution.entropy(), oracle.entropy(), atol=1e-5)
    assert torch.equal(distribution.mode(), mean)


def test_laplace_samples_have_its_mean_and_scale():
    distribution = LaplaceDistribution(
        mean=torch.full((100_000,), 0.3), log_scale=torch.full((100_000,), math.log(0.05))
    )
    samples = distribution.sample(torch.Generator().manual_seed(0))
    assert torch.isfinite(samples).all()
    assert samples.mean().item() == pytest.approx(0.3, abs=1e-3)
    assert (samples - 0.3).abs().mean().item() == pytest.approx(0.05, rel=0.02)
