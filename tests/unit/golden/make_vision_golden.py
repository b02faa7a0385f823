"""Make `vision_towers.npz` with timm, which the project itself never needs.

    pip install .[oracles]
    python tests/unit/golden/make_vision_golden.py

Two small vision transformers, weights included: the DINOv2-reg4 shape (class token, four registers, layer
scale) and the SigLIP shape (attention pool). The features are those of the second-to-last block.
"""

from pathlib import Path

import numpy as np
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

HERE = Path(__file__).parent
DINO = {"embed_dim": 16, "init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}
SIGLIP = {"embed_dim": 24, "class_token": False, "global_pool": "map"}


def main() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 12, 12)
    arrays = {"pixels": pixels.numpy(), "timm": np.array(timm.__version__)}
    for name, shape in (("dino", DINO), ("siglip", SIGLIP)):
        model = VisionTransformer(
            img_size=12, patch_size=4, depth=3, num_heads=2, mlp_ratio=2.0, num_classes=0, **shape
        ).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        with torch.no_grad():
            features = model.get_intermediate_layers(pixels, n={len(model.blocks) - 2})[0]
        arrays[f"{name}/features"] = features.numpy()
        arrays |= {f"{name}/weights/{key}": value.numpy() for key, value in model.state_dict().items()}
    np.savez_compressed(HERE / "vision_towers.npz", **arrays)


if __name__ == "__main__":
    main()
