"""How fast the model decides, how much the engine gains, and how far a batch is from each row alone.

`tiny` on one core of this CPU; `openvla-oft-7b` with random weights on a CUDA device, where there is one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median, quantiles

import torch
from report import parser, report

from policy_server.model.config import ModelConfig
from policy_server.model.engine import Engine
from policy_server.model.example_input import example_input
from policy_server.model.model_input import ModelInput
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import OPENVLA_OFT_7B, TINY

BATCHES = (1, 2, 4, 8)
ROWS = 8  # of the batches that are compared with each row alone
TINY_PROMPT = (
    22  # [token] "In: What action should the robot take to put the red cube on the white plate?\nOut:"
)
FULL_PROMPT = 32  # [token] a LIBERO instruction
H200_MEMORY = 4.3e12  # [byte/s] sustained
H200_BFLOAT16 = 790e12  # [FLOP/s] sustained


def main() -> None:
    options = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    rounds, policies = (50, 4) if options.quick else (400, 20)
    figures: dict[str, float] = {}
    n: dict[str, int] = {}
    print(tiny_speed(figures, rounds, compiled=not options.quick))
    n |= dict.fromkeys((name for name in figures if name != "tiny_parameters"), rounds)
    print(batching(figures, policies=policies))
    n |= dict.fromkeys(("batch_vs_solo_max_abs", "batch_vs_unpadded_max_abs"), policies * ROWS)
    if torch.cuda.is_available():
        print(full_size_speed(figures, OPENVLA_OFT_7B, "cuda", rounds=rounds))
        n |= dict.fromkeys((name for name in figures if name.startswith("oft7b")), rounds)
    else:
        print("openvla-oft-7b: not measured, there is no CUDA device")
    report(figures, n=n, packages=("torch", "transformers"), json_to=options.json)


def interleaved_ms(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int
) -> dict[str, list[float]]:
    """Time every call once per round, so that a slow minute of the machine is everybody's."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(warm_up + rounds):
        for name, call in calls.items():
            started_at = time.perf_counter()
            call()
            elapsed = (time.perf_counter() - started_at) * 1e3
            if i >= warm_up:
                times[name].append(elapsed)
    return times


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
    return "\n".join(lines)


def tiny_speed(figures: dict[str, float], rounds: int, *, compiled: bool) -> str:
    policy = build_policy(TINY, seed=0).eval()
    engine = Engine(policy)
    figures["tiny_parameters"] = sum(p.numel() for p in policy.without_auxiliary().parameters())
    calls = {}
    for size in BATCHES:
        x = example_input(TINY, [TINY_PROMPT] * size)
        calls[f"eager {size}"] = lambda x=x: policy.act(x)
        calls[f"engine {size}"] = lambda x=x: engine.act(x)
    two = replace(TINY, cameras=2)
    two_engine, x_two = Engine(build_policy(two, seed=0)), example_input(two, [TINY_PROMPT])
    calls["two cameras"] = lambda: two_engine.act(x_two)
    if compiled:
        faster, x_one = Engine(policy, compiled=True), example_input(TINY, [TINY_PROMPT])
        calls["compiled"] = lambda: faster.act(x_one)
    times = interleaved_ms(calls, rounds=rounds, warm_up=5)
    if compiled:
        figures["compiled_over_eager"] = median(times["eager 1"]) / median(times["compiled"])
    rows = []
    for size in BATCHES:
        eager, served = median(times[f"eager {size}"]), times[f"engine {size}"]
        figures[f"tiny_ms_b{size}"] = median(served)
        per_second = f"{1e3 * size / median(served):.0f}"
        rows.append(
            [size, f"{eager:.2f}", f"{median(served):.2f}", f"{quantiles(served, n=20)[-1]:.2f}", per_second]
        )
    figures["engine_over_eager"] = median(times["eager 1"]) / median(times["engine 1"])
    figures["tiny_two_cameras_ms_b1"] = median(times["two cameras"])
    header = ["batch", "eager p50 ms", "engine p50 ms", "engine p95 ms", "decisions/s"]
    return (
        f"tiny, {figures['tiny_parameters'] / 1e6:.2f} M parameters, one core, float32, {rounds} rounds\n"
        + table(header, rows)
        + f"\nengine over eager at batch 1: {figures['engine_over_eager']:.2f} x"
        + (f"\ncompiled over eager: {figures['compiled_over_eager']:.2f} x" if compiled else "")
        + f"\nexternal and wrist camera, batch 1: {figures['tiny_two_cameras_ms_b1']:.2f} ms\n"
    )


def batching(figures: dict[str, float], *, policies: int) -> str:
    """Largest difference between a row in a batch and the same row alone, over random policies and inputs."""
    solo = unpadded = 0.0
    for seed in range(policies):
        policy = Engine(build_policy(TINY, seed=seed))
        draw = torch.Generator().manual_seed(seed)
        lengths = torch.randint(8, 40, (ROWS,), generator=draw).tolist()
        x = example_input(TINY, lengths, seed=seed)
        together = policy.act(x).actions
        for i in range(len(lengths)):
            row = x[i : i + 1]
            solo = max(solo, (policy.act(row).actions[0] - together[i]).abs().max().item())
            alone = policy.act(without_pads(row)).actions[0]
            unpadded = max(unpadded, (alone - together[i]).abs().max().item())
    figures["batch_vs_solo_max_abs"] = solo
    figures["batch_vs_unpadded_max_abs"] = unpadded
    return (
        f"a row in a batch of {ROWS} against the same row alone, {policies} random policies, float32\n"
        + table(
            ["alone with", "largest difference"],
            [["the same padding", f"{solo:.1e}"], ["no padding", f"{unpadded:.1e}"]],
        )
        + "\n"
    )


def without_pads(x: ModelInput) -> ModelInput:
    length = int(x.mask.sum())
    return replace(x, tokens=x.tokens[:, :length], mask=x.mask[:, :length])


def full_size_speed(figures: dict[str, float], config: ModelConfig, device: str, *, rounds: int) -> str:
    """Random weights in bfloat16: speed does not depend on what they are."""
    policy = random_policy(config, device)

    def p50(engine: Engine, size: int) -> float:
        x = example_input(config, [FULL_PROMPT] * size).to(device, torch.bfloat16)

        def decide() -> None:
            engine.act(x).actions.cpu()  # waits for the device, as a server does

        return median(interleaved_ms({"decide": decide}, rounds=rounds, warm_up=5)["decide"])

    engine = Engine(policy, device=device, dtype=torch.bfloat16)
    figures["oft7b_p50_ms_b1"] = p50(engine, 1)
    figures["oft7b_obs_per_s_b8"] = 8e3 / p50(engine, 8)
    del engine
    figures["oft7b_fp8_p50_ms_b1"] = p50(Engine(policy, device=device, dtype=torch.bfloat16, float8=True), 1)
    rows = [
        ["batch 1, bfloat16, p50 ms", f"{figures['oft7b_p50_ms_b1']:.2f}"],
        ["batch 8, bfloat16, observations/s", f"{figures['oft7b_obs_per_s_b8']:.1f}"],
        ["batch 1, 8-bit linears, p50 ms", f"{figures['oft7b_fp8_p50_ms_b1']:.2f}"],
    ]
    name = torch.cuda.get_device_name() if device == "cuda" else device
    if "H200" in name:
        figures["floor_ms_b1"] = floor_ms(config)
        rows.append(["floor at batch 1, bfloat16, ms", f"{figures['floor_ms_b1']:.2f}"])
    return (
        f"openvla-oft-7b, random weights, {name}, {rounds} rounds\n" + table(["what", "figure"], rows) + "\n"
    )


def random_policy(config: ModelConfig, device: str) -> OftPolicy:
    policy = OftPolicy.on_meta(config)
    draw = torch.Generator(device).manual_seed(0)
    policy.adopt(
        {
            key: torch.randn(like.shape, generator=draw, device=device, dtype=torch.bfloat16) * 0.02
            for key, like in policy.state_dict().items()
        }
    )
    return policy


def floor_ms(config: ModelConfig) -> float:
    """No pass can be faster: the larger of reading every live weight and computing every live product."""
    language = config.language
    sequence = config.prefix_length + FULL_PROMPT - 1 + config.action_slots + config.has_stop
    D, M = language.hidden_size, language.mlp_width
    layer = 4 * D * D + 3 * D * M
    flop = language.layers * (2 * layer * sequence + 4 * sequence**2 * D)
    weights = language.layers * layer
    patches = config.cameras * config.patches
    for tower in config.towers:
        V, tokens = tower.width, config.patches + tower.prefix_tokens
        block = 4 * V * V + 2 * V * tower.mlp_width
        flop += config.cameras * tower.live_blocks * (2 * block * tokens + 4 * tokens**2 * V)
        weights += tower.live_blocks * block
    projector = config.vision_width * config.projector_width + config.projector_width * D + D * D
    head = config.action_size * D * config.head_width + config.head_blocks * config.head_width**2
    flop += 2 * projector * patches + 2 * head * config.chunk_length
    weights += projector + head
    return 1e3 * max(flop / H200_BFLOAT16, 2 * weights / H200_MEMORY)


if __name__ == "__main__":
    main()
