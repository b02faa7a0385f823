"""What a supervised run learned, and when: the log of its folder as a table, and as a picture.

python benchmarks/learning_curve.py RUN [--picture FILE] [--json FILE]

samples, action_l1        seen so far; mean error of all action numbers, normalised
approach_xy_l1            the same for x and y on approach frames alone, where a blind policy cannot hide
object_cm                 how far off the policy believes the named object to be, approach frames
unseen_...                the same on episodes that are not trained on
"""

import json
from pathlib import Path

import matplotlib
from report import parser, report

matplotlib.use("Agg")

import matplotlib.pyplot as plt

COLUMNS = {
    "samples": "samples",
    "action_l1": "action",
    "approach_xy_l1": "approach_xy",
    "object_cm": "approach_object",
    "unseen_approach_xy_l1": "validation/approach_xy",
    "unseen_object_cm": "validation/approach_object",
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("run", type=Path)
    options.add_argument("--picture", type=Path, help="PNG of the curve")
    chosen = options.parse_args()
    log = (chosen.run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in log]
    curve = [figures(row) for row in rows if "validation/approach_xy" in row]
    print(" | ".join(COLUMNS))
    for point in curve:
        print(" | ".join(f"{point[name]:g}" for name in COLUMNS))
    if chosen.picture:
        draw([figures(row) for row in rows], curve, chosen.picture)
    run = json.loads((chosen.run / "run.json").read_text())
    report(
        {"curve": curve, "commands": run["commands"], "frames": run["frames"], "episodes": run["episodes"]},
        n={"curve": len(curve)},
        packages=("torch", "transformers", "numpy"),
        json_to=chosen.json,
    )


def figures(row: dict[str, float]) -> dict[str, float]:
    return {
        name: round(row[key] * (100 if name.endswith("cm") else 1), 4)
        for name, key in COLUMNS.items()
        if key in row
    }


def draw(all_points: list[dict[str, float]], curve: list[dict[str, float]], file: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axes, name, label in (
        (left, "approach_xy_l1", "x, y of the approach, L1"),
        (right, "object_cm", "named object off by [cm]"),
    ):
        axes.plot([p["samples"] for p in all_points], [p[name] for p in all_points], label="trained on")
        axes.plot(
            [p["samples"] for p in curve], [p[f"unseen_{name}"] for p in curve], "o-", label="unseen episodes"
        )
        axes.set_xlabel("samples")
        axes.set_ylabel(label)
        axes.set_yscale("log")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
