"""Every optimisation of the engine gives the plain policy's answer; recorded graphs need a GPU to test."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from policy_server.model.cuda_graphs import BATCHES, GraphCache, bucket, fill
from policy_server.model.engine import Engine
from policy_server.model.example_input import example_input
from policy_server.model.float8 import Float8Linear, quantise_rows
from policy_server.model.fused_llama import FusedLlama, join_weights, rms_norm
from policy_server.model.lora import LoraConfig, add_adapters
from policy_server.model.policy import build_policy
from policy_server.model.presets import MINIATURE, TINY
from policy_server.model.sequence import attention_mask, read_rows
from robot_contract.errors import ContractError

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

CONFIGS = {
    "tiny": TINY,
    "miniature": MINIATURE,
    "rlinf tokens": replace(MINIATURE, head="tokens", sequence="rlinf"),
    "laplace": replace(TINY, head="laplace", value="action"),
    "autoregressive": replace(MINIATURE, mode="autoregressive", head="tokens"),
}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_engine_answers_as_the_policy(config):
    policy = build_policy(config, seed=0).eval()
    x = example_input(config, [9, 16, 12])
    assert torch.allclose(Engine(policy).act(x).actions, policy.act(x).actions, atol=1e-6)


def test_the_engine_answers_as_the_policy_in_bfloat16():
    policy = build_policy(TINY, seed=0).eval()
    x = example_input(TINY, [9, 16, 12])
    exact = policy.act(x).actions
    eager = policy.bfloat16().act(x.to("cpu", torch.bfloat16)).actions
    noise = (eager - exact).abs().max().item()
    ours = Engine(policy, dtype=torch.bfloat16).act(x).actions
    assert 0 < noise < 0.1
    assert (ours - eager).abs().max().item() <= noise


@torch.no_grad()
def test_the_fused_llama_equals_transformers_row_for_row():
    policy = build_policy(TINY, seed=0).eval()
    p = policy.prompted(example_input(TINY, [9, 16, 12]))
    mask = attention_mask(p.layout.live, causal=False)
    whole = read_rows(policy.language_model(p.embeddings, mask), p.layout.rows)
    fused = FusedLlama(policy.language_model)(p.embeddings, mask, p.layout.rows)
    assert torch.allclose(fused, whole, atol=2e-6)
    again = read_rows(policy.language_model(p.embeddings, mask), p.layout.rows)
    assert torch.equal(again, whole)  # joining the weights left the policy as it was


def test_a_norm_without_its_epsilon_would_be_seen():
    x = torch.full((1, 8), 1e-4)
    assert not torch.allclose(rms_norm(x, torch.ones(8), 1e-6), rms_norm(x, torch.ones(8), 1e-5))


def test_joined_weights_are_the_same_memory():
    parts = [torch.nn.Linear(4, 3, bias=False), torch.nn.Linear(4, 5, bias=False)]
    before = [part.weight.detach().clone() for part in parts]
    joined = join_weights(parts)
    assert torch.equal(joined, torch.cat(before))
    with torch.no_grad():
        parts[1].weight.zero_()
    assert torch.equal(joined[3:], torch.zeros(5, 4))


def test_an_engine_owns_its_weights_until_told():
    policy = build_policy(MINIATURE, seed=0).eval()
    x = example_input(MINIATURE, [9])
    engine = Engine(policy)
    before = engine.act(x).actions
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.01)
    assert all(parameter.requires_grad for parameter in policy.parameters())
    assert torch.equal(engine.act(x).actions, before)
    engine.update(policy)
    after = engine.act(x).actions
    assert not torch.allclose(after, before, atol=1e-4)
    assert torch.allclose(after, policy.act(x).actions, atol=1e-6)


def test_an_engine_may_consume_the_policy():
    policy = build_policy(MINIATURE, seed=0).eval()
    x = example_input(MINIATURE, [9])
    before = policy.act(x).actions
    memory = policy.projector.fc1.weight.data_ptr()
    engine = Engine(policy, consume=True)
    assert torch.allclose(engine.act(x).actions, before, atol=1e-6)
    assert engine._policy.projector.fc1.weight.data_ptr() == memory
    assert all(parameter.is_meta for parameter in policy.parameters())


def test_an_engine_merges_adapters():
    policy = build_policy(MINIATURE, seed=0).eval()
    add_adapters(policy, LoraConfig(rank=4))
    for name, parameter in policy.named_parameters():
        if name.endswith("lora_b"):
            torch.nn.init.normal_(parameter, std=0.1)
    x = example_input(MINIATURE, [9, 12])
    assert torch.allclose(Engine(policy).act(x).actions, policy.act(x).actions, atol=2e-4)


def test_quantised_rows_err_by_the_format_alone():
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-4, 4, 32)[:, None]
    x[5] = 0.0
    small, scale = quantise_rows(x)
    back = small.float() * scale
    assert torch.equal(back[5], x[5])
    relative = (back - x).abs().amax(dim=1) / x.abs().amax(dim=1).clamp_min(1e-30)
    assert relative.max().item() <= 2**-4  # half a step of 3 mantissa bits, at the largest entry


def test_an_8_bit_product_is_near_the_exact_one():
    draw = torch.Generator().manual_seed(0)
    weight, x = torch.randn(48, 64, generator=draw), torch.randn(2, 5, 64, generator=draw)
    exact = F.linear(x, weight)
    ours = Float8Linear.of(weight)(x)
    assert ours.shape == exact.shape
    assert ((ours - exact).norm() / exact.norm()).item() < 0.05
    assert torch.equal(Float8Linear.of(weight).rows(16, 48)(x), ours[..., 16:])


def test_an_8_bit_engine_answers_nearly_the_same_and_keeps_its_weights():
    policy = build_policy(TINY, seed=0).eval()
    x = example_input(TINY, [9, 16])
    engine = Engine(policy, dtype=torch.bfloat16, float8=True)
    exact = policy.act(x).actions
    assert ((engine.act(x).actions - exact).norm() / exact.norm()).item() < 0.2
    with pytest.raises(ContractError, match="build a new one"):
        engine.update(policy)


def test_buckets_hold_their_inputs():
    assert bucket(1, 1) == (1, 8)
    assert bucket(3, 17) == (4, 24)
    assert bucket(8, 24) == (8, 24)
    with pytest.raises(ContractError, match=f"at most {BATCHES[-1]}"):
        bucket(9, 8)


def test_a_filled_bucket_answers_as_what_it_was_filled_with():
    policy = build_policy(TINY, seed=0).eval()
    x = example_input(TINY, [9, 13, 12])
    size, prompt = bucket(3, 13)
    filled = fill(x, size, prompt, TINY.tokens.pad)
    assert (len(filled), filled.tokens.shape[1]) == (4, 16)
    assert torch.allclose(policy.act(filled).actions[:3], policy.act(x).actions, atol=5e-6)


class ReplayingRecorder:
    """Stands in for CUDA: a recording reads and writes the same memory at every replay."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, run):
        self.recorded += 1
        rows = run()
        return lambda: rows.copy_(run()), rows


@torch.no_grad()
def test_recordings_are_made_once_per_bucket_and_answer_for_every_input_in_it():
    policy = build_policy(TINY, seed=0).eval()
    recorder = ReplayingRecorder()

    def read_rows(x):
        return policy.features(x).rows

    cache = GraphCache(read_rows, TINY, recorder, device=torch.device("cpu"), dtype=torch.float32)
    kept = []
    for seed, prompts in enumerate(([9], [12], [9, 16, 12], [10, 11, 12, 13], [17], [9])):
        x = example_input(TINY, prompts, seed=seed)
        kept.append((cache(x), read_rows(x)))
    assert recorder.recorded == 3  # (1, 16), (4, 16) and (1, 24)
    for ours, expected in kept:  # an answer given is not overwritten by the next replay
        assert ours.shape == expected.shape
        assert torch.allclose(ours, expected, atol=5e-5)


@torch.inference_mode()
def test_a_recording_made_in_inference_mode_may_be_refilled_outside_it():
    cache = GraphCache(
        lambda x: x.pixels * 1.0, TINY, ReplayingRecorder(), device=torch.device("cpu"), dtype=torch.float32
    )
    cache(example_input(TINY, [9]))
    x = example_input(TINY, [9], seed=1)
    with torch.inference_mode(False), torch.no_grad():
        outside = replace(x, **{k: getattr(x, k).clone() for k in ("pixels", "tokens", "mask", "proprio")})
        assert torch.equal(cache(outside), x.pixels)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own compiler warns of itself
def test_a_compiled_engine_answers_as_the_policy():
    policy = build_policy(TINY, seed=0).eval()
    engine = Engine(policy, compiled=True)
    for prompts in ([9, 13, 12], [9, 13, 12, 10], [16, 9, 9]):
        x = example_input(TINY, prompts)
        assert torch.allclose(engine.act(x).actions, policy.act(x).actions, atol=1e-5)


@needs_gpu
def test_a_recorded_graph_answers_as_the_eager_policy():
    policy = build_policy(TINY, seed=0).eval()
    recorded = Engine(policy, device="cuda", dtype=torch.bfloat16)
    eager = Engine(policy, device="cuda", dtype=torch.bfloat16, graphs=False)
    for prompts in ([9], [9, 16, 12], [20, 21], [9]):
        x = example_input(TINY, prompts, seed=len(prompts))
        assert torch.allclose(recorded.act(x).actions, eager.act(x).actions, atol=0.05)
