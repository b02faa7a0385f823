"""The whole policy equals a plain re-statement of OpenVLA-OFT, and every silent trap breaks that equality.

The re-statement below shares no code with the model beyond the vision towers, which timm's own outputs pin:
its Llama is written out, one observation at a time, unbatched and unpadded, as the published code runs.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from policy_server.model import policy as policy_module
from policy_server.model import sequence
from policy_server.model.example_input import example_input
from policy_server.model.model_input import ModelInput
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

CLOSE = 2e-5
PROMPT = 11


def make_policy(config=MINIATURE) -> OftPolicy:
    """Weights large enough for every trap to show: fresh ones are nearly linear."""
    policy = build_policy(config, seed=0).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in policy.named_parameters():
            if parameter.ndim >= 2 and "vision" not in name:
                torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return policy


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return weight * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def rotate(x_HSE: Tensor) -> Tensor:
    S, E = x_HSE.shape[1:]
    angles = torch.arange(S)[:, None] / 10000.0 ** (torch.arange(0, E, 2) / E)
    first, second = x_HSE[..., : E // 2], x_HSE[..., E // 2 :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def restated_llama(
    w: dict[str, Tensor], x_SD: Tensor, layers: int, heads: int, *, hidden_SS: Tensor | None = None
) -> Tensor:
    """Every position attends to every position, except where `hidden_SS` says no."""
    for i in range(layers):
        p = f"language_model.model.layers.{i}."
        normed = rms_norm(x_SD, w[p + "input_layernorm.weight"])
        q, k, v = (
            (normed @ w[f"{p}self_attn.{n}_proj.weight"].T).unflatten(-1, (heads, -1)).transpose(0, 1)
            for n in "qkv"
        )
        scores = rotate(q) @ rotate(k).transpose(1, 2) / q.shape[-1] ** 0.5
        if hidden_SS is not None:
            scores = scores.masked_fill(hidden_SS, float("-inf"))
        attended = (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)
        x_SD = x_SD + attended @ w[p + "self_attn.o_proj.weight"].T
        normed = rms_norm(x_SD, w[p + "post_attention_layernorm.weight"])
        gate = F.silu(normed @ w[p + "mlp.gate_proj.weight"].T)
        x_SD = x_SD + (gate * (normed @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    return rms_norm(x_SD, w["language_model.model.norm.weight"])


def restated_patches(policy: OftPolicy, x: ModelInput) -> Tensor:
    w, features = policy.state_dict(), []
    for camera in x.pixels[0]:
        towers = (policy.vision_backbone.featurizer, policy.vision_backbone.fused_featurizer)
        joined = torch.cat([t(camera[None, 3 * i : 3 * i + 3])[0] for i, t in enumerate(towers)], dim=-1)
        features.append(joined)
    patches = torch.cat(features)
    for name in ("fc1", "fc2", "fc3"):
        patches = F.linear(patches, w[f"projector.{name}.weight"], w[f"projector.{name}.bias"])
        patches = F.gelu(patches) if name != "fc3" else patches
    return patches


@torch.no_grad()
def restated_actions(policy: OftPolicy, x: ModelInput) -> Tensor:
    """One observation through the published forward pass, step by step."""
    c, w = policy.config, policy.state_dict()
    prompt = x.tokens[0, : int(x.mask.sum())]
    embed = w["language_model.model.embed_tokens.weight"]
    patches = restated_patches(policy, x)
    proprio = F.linear(x.proprio, w["proprio_projector.fc1.weight"], w["proprio_projector.fc1.bias"])
    proprio = F.linear(F.gelu(proprio), w["proprio_projector.fc2.weight"], w["proprio_projector.fc2.bias"])
    slots = torch.zeros(c.action_slots, c.language.hidden_size)
    stop = embed[c.tokens.stop][None]
    x_SD = torch.cat([embed[prompt[:1]], patches, proprio, embed[prompt[1:]], slots, stop])
    hidden = restated_llama(w, x_SD, c.language.layers, c.language.heads)
    first = 1 + len(patches) + 1 + len(prompt) - 2  # where the action prefix stands
    assert prompt[-1] == c.tokens.action_prefix
    rows = hidden[first : first + c.action_slots].reshape(c.chunk_length, -1)
    m = "action_head.model."
    h = F.layer_norm(rows, rows.shape[-1:], w[m + "layer_norm1.weight"], w[m + "layer_norm1.bias"])
    h = F.relu(F.linear(h, w[m + "fc1.weight"], w[m + "fc1.bias"]))
    for i in range(c.head_blocks):
        b = f"{m}mlp_resnet_blocks.{i}.ffn."
        n = F.layer_norm(h, h.shape[-1:], w[b + "0.weight"], w[b + "0.bias"])
        h = h + F.relu(F.linear(n, w[b + "1.weight"], w[b + "1.bias"]))
    h = F.layer_norm(h, h.shape[-1:], w[m + "layer_norm2.weight"], w[m + "layer_norm2.bias"])
    return F.linear(h, w[m + "fc2.weight"], w[m + "fc2.bias"])


@pytest.fixture(scope="module")
def policy() -> OftPolicy:
    return make_policy()


@pytest.fixture(scope="module")
def x() -> ModelInput:
    return example_input(MINIATURE, [PROMPT])


@pytest.fixture(scope="module")
def expected(policy: OftPolicy, x: ModelInput) -> Tensor:
    return restated_actions(policy, x)


def difference(policy: OftPolicy, x: ModelInput, expected: Tensor) -> float:
    return float((policy.act(x).actions[0] - expected).abs().max())


def test_the_policy_equals_the_restatement(policy, x, expected):
    assert difference(policy, x, expected) < CLOSE


def causal(live, *, causal):
    return sequence.attention_mask(live, causal=True)


def only_the_slots_look_ahead(live, *, causal):
    """What the papers say in words: causal, but for the action positions."""
    mask = sequence.attention_mask(live, causal=True)
    slots = MINIATURE.action_slots + 1
    mask[:, :, -slots:] = True
    return mask


def shifted(hidden, rows):
    return sequence.read_rows(hidden, rows + (rows.shape[1] > 1))


def unzeroed(bos, patches, proprio, text, layout):
    return sequence.assemble(bos, patches, proprio, text, replace(layout, slots_empty=False))


def proprio_first(bos, patches, proprio, text, layout):
    swapped = torch.cat([proprio[:, None], patches[:, :-1]], dim=1)
    return sequence.assemble(bos, swapped, patches[:, -1], text, layout)


@pytest.mark.parametrize(
    ("name", "trap"),
    [
        ("attention_mask", causal),
        ("attention_mask", only_the_slots_look_ahead),
        ("read_rows", shifted),
        ("assemble", unzeroed),
        ("assemble", proprio_first),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_trap_in_the_sequence_is_seen(name, trap, policy, x, expected, monkeypatch):
    monkeypatch.setattr(policy_module, name, trap)
    assert difference(policy, x, expected) > 100 * CLOSE


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": "rlinf"},
        {"language": replace(MINIATURE.language, rms_norm_eps=1e-5)},
        {"towers": tuple(replace(tower, live_blocks=3) for tower in MINIATURE.towers)},
    ],
    ids=["no stop token", "Meta's eps", "last vision block"],
)
def test_a_trap_in_the_configuration_is_seen(change, policy, x, expected):
    trapped = OftPolicy(replace(MINIATURE, **change)).eval()
    trapped.load_state_dict(policy.state_dict())
    assert difference(trapped, x, expected) > 3 * CLOSE


def test_swapped_cameras_are_seen(policy, x, expected):
    assert difference(policy, replace(x, pixels=x.pixels.flip(1)), expected) > 100 * CLOSE


@torch.no_grad()
def test_the_last_slot_reaches_the_first_output(policy, x):
    """Attention runs in both directions: an embedding at the last action slot moves the first row read."""
    p = policy.prompted(x)
    mask = sequence.attention_mask(p.layout.live, causal=False)
    moved = p.embeddings.clone()
    moved[:, p.layout.last - 1] = 1.0
    first, other = (
        sequence.read_rows(policy.language_model(embeddings, mask), p.layout.rows)[:, 0]
        for embeddings in (p.embeddings, moved)
    )
    assert float((first - other).abs().max()) > 1e-3


def test_the_first_row_read_stands_on_the_action_prefix(x):
    layout = sequence.lay_out(x.tokens, x.mask, MINIATURE)
    ids = torch.cat([torch.full((1, MINIATURE.prefix_length), -1), layout.text], dim=1)
    assert ids[0, layout.rows[0, 0]] == MINIATURE.tokens.action_prefix
    assert ids[0, layout.last[0]] == MINIATURE.tokens.stop
    assert layout.rows[0].tolist() == list(range(int(layout.rows[0, 0]), int(layout.last[0]) - 1))


@torch.no_grad()
def restated_tokens(policy: OftPolicy, x: ModelInput) -> list[int]:
    """Greedy OpenVLA: the whole sequence anew for every token, no cache."""
    c, w = policy.config, policy.state_dict()
    embed, head = w["language_model.model.embed_tokens.weight"], w["language_model.lm_head.weight"]
    prompt = x.tokens[0, : int(x.mask.sum())].tolist()
    first, last = c.tokens.action_end - c.tokens.action_bins, c.tokens.action_end
    said: list[int] = []
    for _ in range(c.action_slots):
        words = embed[torch.tensor(prompt[1:] + [first + bin_ for bin_ in said])]
        x_SD = torch.cat([embed[prompt[:1]], restated_patches(policy, x), words])
        later_SS = torch.ones(len(x_SD), len(x_SD), dtype=torch.bool).triu(1)
        hidden = restated_llama(w, x_SD, c.language.layers, c.language.heads, hidden_SS=later_SS)
        said.append(int((head[first:last] @ hidden[-1]).argmax()))
    return said


def test_autoregressive_decoding_equals_the_restatement():
    config = replace(
        MINIATURE, mode="autoregressive", head="tokens", cameras=1, proprio_size=0, chunk_length=1
    )
    policy = make_policy(config)
    x = example_input(config, [PROMPT, 17, 13])
    together = policy.act(x).choices.flatten(1).tolist()
    assert together == [restated_tokens(policy, x[i : i + 1]) for i in range(3)]
    assert len({tuple(row) for row in together}) > 1


def test_half_precision_leaves_the_rotary_frequencies_alone():
    policy = build_policy(MINIATURE, seed=0)
    exact = 10000.0 ** -(torch.arange(0, 16, 2, dtype=torch.float64) / 16)
    assert not torch.allclose(exact.bfloat16().double(), exact, rtol=1e-3)
    for same in (policy, policy.bfloat16(), OftPolicy.on_meta(MINIATURE).to_empty(device="cpu")):
        found = same.language_model.model.rotary_emb.inv_freq
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), exact, rtol=1e-6)


def test_rlinf_checkpoints_have_no_stop_token_and_read_the_same_rows(x):
    official = sequence.lay_out(x.tokens, x.mask, MINIATURE)
    rlinf = sequence.lay_out(x.tokens, x.mask, replace(MINIATURE, sequence="rlinf"))
    assert torch.equal(rlinf.rows, official.rows)
    assert torch.equal(rlinf.last, official.last - 1)
    assert MINIATURE.tokens.stop not in rlinf.text[0].tolist()
