"""The published layouts key by key, written out: names and shapes at any width, independent of our own model.

A conversion that finds every one of these finds every key where upstream puts it.
"""

from dataclasses import dataclass

from policy_server.weights import Shape

Shapes = dict[str, Shape]


@dataclass(frozen=True, kw_only=True)
class TowerSizes:
    width: int
    depth: int
    mlp: int


@dataclass(frozen=True, kw_only=True)
class Sizes:
    dino: TowerSizes
    siglip: TowerSizes
    patches: int
    projector: int
    hidden: int
    layers: int
    heads: int
    mlp: int
    vocabulary: int = 32064


SMALL = Sizes(
    dino=TowerSizes(width=32, depth=3, mlp=24),
    siglip=TowerSizes(width=48, depth=3, mlp=24),
    patches=4,
    projector=24,
    hidden=16,
    layers=2,
    heads=4,
    mlp=24,
)
FULL = Sizes(
    dino=TowerSizes(width=1024, depth=24, mlp=4096),
    siglip=TowerSizes(width=1152, depth=27, mlp=4304),
    patches=256,
    projector=8704,
    hidden=4096,
    layers=32,
    heads=32,
    mlp=11008,
)


def model_shapes(sizes: Sizes) -> Shapes:
    """Every key of `OpenVLAForActionPrediction`."""
    hidden = sizes.hidden
    shapes = tower_shapes("vision_backbone.featurizer.", sizes.dino, sizes.patches, dino=True)
    shapes |= tower_shapes("vision_backbone.fused_featurizer.", sizes.siglip, sizes.patches, dino=False)
    shapes |= _linear("projector.fc1", sizes.dino.width + sizes.siglip.width, sizes.projector)
    shapes |= _linear("projector.fc2", sizes.projector, hidden) | _linear("projector.fc3", hidden, hidden)
    shapes["language_model.model.embed_tokens.weight"] = (sizes.vocabulary, hidden)
    for i in range(sizes.layers):
        layer = f"language_model.model.layers.{i}."
        shapes |= {f"{layer}self_attn.{name}_proj.weight": (hidden, hidden) for name in "qkvo"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": (sizes.mlp, hidden) for name in ("gate", "up")}
        shapes[f"{layer}mlp.down_proj.weight"] = (hidden, sizes.mlp)
        shapes |= {f"{layer}{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
    shapes["language_model.model.norm.weight"] = (hidden,)
    shapes["language_model.lm_head.weight"] = (sizes.vocabulary, hidden)
    return shapes


def tower_shapes(prefix: str, tower: TowerSizes, patches: int, *, dino: bool) -> Shapes:
    width, mlp = tower.width, tower.mlp
    shapes: Shapes = {
        f"{prefix}pos_embed": (1, patches, width),
        f"{prefix}patch_embed.proj.weight": (width, 3, 14, 14),
        f"{prefix}patch_embed.proj.bias": (width,),
    }
    if dino:
        shapes |= {f"{prefix}cls_token": (1, 1, width), f"{prefix}reg_token": (1, 4, width)}
    else:
        pool = f"{prefix}attn_pool."
        shapes[f"{pool}latent"] = (1, 1, width)
        shapes |= _linear(f"{pool}q", width, width) | _linear(f"{pool}kv", width, 2 * width)
        shapes |= _linear(f"{pool}proj", width, width) | _norm(f"{pool}norm", width)
        shapes |= _linear(f"{pool}mlp.fc1", width, mlp) | _linear(f"{pool}mlp.fc2", mlp, width)
    shapes |= _norm(f"{prefix}norm", width)
    for i in range(tower.depth):
        block = f"{prefix}blocks.{i}."
        shapes |= _norm(f"{block}norm1", width) | _norm(f"{block}norm2", width)
        shapes |= _linear(f"{block}attn.qkv", width, 3 * width) | _linear(f"{block}attn.proj", width, width)
        shapes |= _linear(f"{block}mlp.fc1", width, mlp) | _linear(f"{block}mlp.fc2", mlp, width)
        if dino:
            shapes |= {f"{block}ls{j}.scale_factor": (width,) for j in (1, 2)}
    return shapes


def head_shapes(sizes: Sizes, *, actions: int = 7) -> Shapes:
    """`action_head--*.pt` of the L1 head."""
    hidden = sizes.hidden
    shapes = _norm("model.layer_norm1", 7 * hidden) | _linear("model.fc1", 7 * hidden, hidden)
    for i in (0, 1):
        block = f"model.mlp_resnet_blocks.{i}.ffn"
        shapes |= _norm(f"{block}.0", hidden) | _linear(f"{block}.1", hidden, hidden)
    return shapes | _norm("model.layer_norm2", hidden) | _linear("model.fc2", hidden, actions)


def proprio_shapes(sizes: Sizes, *, prefix: str = "", width: int = 8) -> Shapes:
    """`proprio_projector--*.pt`; with its prefix inside the model as SimpleVLA-RL has it."""
    hidden = sizes.hidden
    return _linear(f"{prefix}fc1", width, hidden) | _linear(f"{prefix}fc2", hidden, hidden)


def value_shapes(sizes: Sizes, *, outputs: int) -> Shapes:
    """RLinf's value head inside the model."""
    made = _linear("value_head.mlp.0", sizes.hidden, 12) | _linear("value_head.mlp.2", 12, 6)
    return made | {"value_head.mlp.4.weight": (outputs, 6)}


def film_shapes(sizes: Sizes, *, rank: int) -> Shapes:
    """`vision_backbone--*.pt`: both towers with FiLM, each linear layer with an unmerged adapter inside."""
    shapes: Shapes = {}
    for name, tower, dino in (("featurizer", sizes.dino, True), ("fused_featurizer", sizes.siglip, False)):
        prefix = f"vision_backbone.{name}."
        plain = tower_shapes(prefix, tower, sizes.patches, dino=dino)
        linear = {key.removesuffix(".weight") for key, shape in plain.items() if len(shape) == 2}
        for key, shape in plain.items():
            layer, _, kind = key.rpartition(".")
            wrapped = _inside_film(layer, prefix)
            if layer not in linear:
                shapes[f"{wrapped}.{kind}"] = shape
                continue
            shapes[f"{wrapped}.base_layer.{kind}"] = shape
            if kind == "weight":
                shapes[f"{wrapped}.lora_A.default.weight"] = (rank, shape[1])
                shapes[f"{wrapped}.lora_B.default.weight"] = (shape[0], rank)
        for i in range(tower.depth):
            shapes |= _linear(f"{prefix}blocks.{i}.scale", sizes.hidden, tower.width)
            shapes |= _linear(f"{prefix}blocks.{i}.shift", sizes.hidden, tower.width)
    return shapes


def _inside_film(layer: str, prefix: str) -> str:
    start, blocks, rest = layer.partition(f"{prefix}blocks.")
    number, dot, inner = rest.partition(".")
    return f"{start}{blocks}{number}{dot}block.{inner}" if blocks else layer


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
