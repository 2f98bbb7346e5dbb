"""How far alignments are off, and whether their confidence tells: `python results/align_confidence.py NAME [INPUT [SEED]]`.

Run in the project's root, after `dvc repro`. Every key event of every ordered pair of clips: the true frame in B against
that found by DTW, by the nearest neighbour and by the clock, % of B. Definitions of the confidence are compared on pairs
of TRAINING clips (area under the ROC curve of "the event is found within 5 %"). `pipeline/correspondence.py` holds the
share of likely partners around the match: what tells slightly more there, the entropy, does not see which match was
chosen, and its product with the share has no unit that one can read. It is measured on pairs of validation clips: mean
error of the surer half of the events and of the others.
"""

from itertools import permutations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from pipeline.correspondence import METHODS, WINDOW_SHARE, clock, confidence, correspond, pace
from pipeline.embedded import EmbeddedAction, load_embedded
from pipeline.sequence import read_sequences
from stages.base import stage

SHARPNESS = (0.5, 1, 2, 4, 8, 16)
TOLERANCE = 100 * WINDOW_SHARE


def entropy(distances: np.ndarray, scale: float, sharpness: float) -> np.ndarray:
    """1 - entropy of the likely partners, relative to its greatest."""
    likely = np.exp(-sharpness / scale * (distances - distances.min(axis=1, keepdims=True)))
    likely /= likely.sum(axis=1, keepdims=True)
    return 1 + (likely * np.log(likely + 1e-12)).sum(axis=1) / np.log(distances.shape[1])


def back(distances: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """1 - how far the partner's own nearest neighbour lies from where one came, as a share of A."""
    return 1 - np.abs(distances.argmin(axis=0)[frames] - np.arange(len(frames))) / len(frames)


def definitions(a: np.ndarray, b: np.ndarray, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (T,) confidence, the higher the surer."""
    distances, scale = cdist(a, b), pace(a, b)
    found = {f"around the match, {s}": confidence(distances, frames, scale, s) for s in SHARPNESS}
    found |= {f"entropy, {s}": entropy(distances, scale, s) for s in SHARPNESS}
    found |= {f"product, {s}": found[f"around the match, {s}"] * found[f"entropy, {s}"] for s in SHARPNESS}
    found["closeness"] = -distances[np.arange(len(a)), frames] / scale
    found["there and back"] = back(distances, frames)
    return found


def events(found: EmbeddedAction, split: str, method: str) -> dict[str, np.ndarray]:
    """Of every event of every ordered pair: `error` and `by clock`, % of B, `confidence`, and each definition."""
    table: dict[str, list[float]] = {}
    for i, j in permutations(found.of_split(split), 2):
        a, b = (found.features(n).astype(np.float64) for n in (i, j))
        match = correspond(a, b, method)
        values = {"confidence": match.confidence}
        values |= definitions(a, b, match.frames) if split == "train" else {}
        by_clock = clock(len(a), len(b))
        for event, true in zip(*found.clips.events[[i, j]], strict=True):
            if min(event, true) >= 0:
                errors = (100 * abs(frames[event] - true) / len(b) for frames in (match.frames, by_clock))
                for key, value in (
                    *zip(("error", "by clock"), errors, strict=True),
                    *((k, v[event]) for k, v in values.items()),
                ):
                    table.setdefault(key, []).append(float(value))
    return {key: np.array(column) for key, column in table.items()}


@stage
def main(
    dataset: str,
    seen: Annotated[str | None, typer.Argument(metavar="INPUT")] = None,
    seed: Annotated[int | None, typer.Argument()] = None,
) -> None:
    poses, results = (Path("data") / folder / dataset for folder in ("poses", "results"))
    actions = list(read_sequences(poses).event_names)
    found = [load_embedded(poses, results, action, seen, seed) for action in actions]
    print(f"{dataset}, input {found[0].input}, seed {found[0].seed}\n\nTraining pairs, area under the ROC curve")
    for method in METHODS:
        tables = [events(one, "train", method) for one in found]
        names = [name for name in tables[0] if name not in ("error", "by clock", "confidence")]
        scores = {name: [roc_auc_score(table["error"] <= TOLERANCE, table[name]) for table in tables] for name in names}
        for name, areas in sorted(scores.items(), key=lambda item: -np.mean(item[1])):
            each = ", ".join(f"{action} {area:.3f}" for action, area in zip(actions, areas, strict=True))
            print(f"{method:8} {name:24} mean {np.mean(areas):.3f}: {each}")
    print("\nValidation pairs, mean event error in % of B; by the clock in brackets")
    for one in found:
        for method in METHODS:
            table = events(one, "val", method)
            sure = table["confidence"] > np.median(table["confidence"])
            within = table["error"] <= TOLERANCE
            parts = {"all": np.ones_like(sure), "surer half": sure, "others": ~sure}
            shown = [
                f"{name} {table['error'][p].mean():.1f} ({table['by clock'][p].mean():.1f})"
                for name, p in parts.items()
            ]
            told = [f"{name} {table['confidence'][p].mean():.2f} / {within[p].mean():.2f}" for name, p in parts.items()]
            area = roc_auc_score(within, table["confidence"])
            print(f"{one.action:13} {method:8} n {len(sure)}: {', '.join(shown)}; ROC {area:.3f};")
            print(f"{'':22} confidence / share within 5 %: {', '.join(told)}")


if __name__ == "__main__":
    typer.run(main)
