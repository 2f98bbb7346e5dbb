"""Event error of key events carried from 1, 3 and 5 labelled training clips: `python results/transfer.py NAME [train]`.

Run in the project's root, after `dvc repro`. Targets: all validation clips; with `train`, the other training clips,
on which `la2ds transfer` was designed. DRAWS seeded choices of the labelled clips; brackets: 95 % bootstrap interval
over the target videos. Controls: the same from raw poses, and the clock.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from pipeline.embedded import EmbeddedAction, load_embedded
from pipeline.heatmap_store import HeatmapStore
from pipeline.inputs import OWN
from pipeline.label_transfer import agreed, votes
from pipeline.metrics.bootstrap import Score, bootstrap, mean_over_videos, mean_score
from pipeline.metrics.controls import raw_pose, time_only
from pipeline.table import method_and_input
from pipeline.wording import table

LABELLED, DRAWS, RESAMPLES, SEED = (1, 3, 5), 20, 1000, 0
UNITS = {"frames": 1, "ms": 0, "% of the clip": 1}  # and the digits they are shown with


def systems(embedded: dict[str, EmbeddedAction], boxes: np.ndarray) -> dict[str, tuple[list[np.ndarray], str]]:
    """Name -> (T, D) features of every clip, and how they are matched."""
    some = next(iter(embedded.values()))
    found = {}
    for seen, action in embedded.items():
        features = [action.features(i) for i in range(len(action.clips))]
        found |= {f"LA2DS {seen}, {method}": (features, method) for method in ("nearest", "dtw")}
    rows = [some.sequences.frames(n) for n in some.numbers]
    joints, confidence = some.sequences.joints, some.sequences.confidence
    raw = [
        raw_pose(joints[r], confidence[r], boxes[[n]], np.array([0, r.stop - r.start]))
        for n, r in zip(some.numbers, rows, strict=True)
    ]
    found |= {f"raw pose, {method}": (raw, method) for method in ("nearest", "dtw")}
    return found | {"clock": ([time_only([length]) for length in some.clips.lengths], "nearest")}


def errors(
    embedded: EmbeddedAction, features: list[np.ndarray], method: str, targets: list[int], draws: dict[int, list]
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Labelled clips -> (draws, targets, events) frames off and confidence; NaN where there is nothing to compare."""
    clips, train = embedded.clips, embedded.of_split("train")
    found = {(r, t): votes(features[r], clips.events[r], features[t], method) for r in train for t in targets if r != t}
    off, sure = {}, {}
    for number, choices in draws.items():
        off[number], sure[number] = np.full((2, len(choices), len(targets), clips.num_events), np.nan)
        for draw, chosen in enumerate(choices):
            for place, target in enumerate(targets):
                if target not in chosen:
                    frames, certain = (np.stack(part) for part in zip(*(found[r, target] for r in chosen), strict=True))
                    events, confidence = agreed(frames, certain, int(clips.lengths[target]))
                    known = (events >= 0) & (clips.events[target] >= 0)
                    off[number][draw, place, known] = np.abs(events - clips.events[target])[known]
                    sure[number][draw, place, known] = confidence[known]
    return off, sure


def score(values: np.ndarray) -> Score:
    """The mean of (draws, targets, events) values, NaN left out, with its interval over targets."""
    sums, counts = np.nansum(values, axis=(0, 2)), np.isfinite(values).sum(axis=(0, 2))
    return bootstrap(mean_over_videos(sums, counts), len(sums), RESAMPLES, SEED)


def shown(score: Score, digits: int) -> str:
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


def main(dataset: str, split: str = "val") -> None:
    poses, results = Path("data/poses") / dataset, Path("data/results") / dataset
    boxes = HeatmapStore(Path("data/heatmaps") / dataset, poses).boxes
    scores: dict[tuple, list[Score]] = {}
    rows, confident = [], []
    actions = sorted(path.name for path in (results / "embeddings").iterdir())
    for action in actions:
        names = (path.name for path in (results / "embeddings" / action).iterdir())
        inputs = [seen for method, seen in map(method_and_input, names) if method == OWN]
        inputs.sort(key=lambda seen: ("+" in seen, seen))
        embedded = {seen: load_embedded(poses, results, action, seen) for seen in inputs}
        some = next(iter(embedded.values()))
        train, targets = some.of_split("train"), some.of_split(split)
        rng = np.random.default_rng(SEED)
        draws = {k: [rng.choice(train, k, replace=False).tolist() for _ in range(DRAWS)] for k in LABELLED}
        lengths, fps = some.clips.lengths[targets][:, None], some.clips.fps[targets][:, None]
        for name, (features, method) in systems(embedded, boxes).items():
            off, sure = errors(some, features, method, targets, draws)
            for number, values in off.items():
                units = {"frames": values, "ms": 1000 * values / fps, "% of the clip": 100 * values / lengths}
                found = {unit: score(part) for unit, part in units.items()}
                scores.setdefault((name, number), []).append(found)
                rows.append([action, name, str(number), *(shown(found[unit], UNITS[unit]) for unit in UNITS)])
                share = units["% of the clip"]
                known = np.isfinite(share)
                third = np.quantile(sure[number][known], [1 / 3, 2 / 3])
                parts = (share[known & (sure[number] <= third[0])], share[known & (sure[number] >= third[1])])
                rank = spearmanr(sure[number][known], share[known]).statistic
                confident.append([action, name, str(number), *(f"{part.mean():.1f}" for part in parts), f"{rank:+.2f}"])
    for (name, number), found in scores.items():
        if len(found) == len(actions) > 1:
            means = (shown(mean_score([of[unit] for of in found]), digits) for unit, digits in UNITS.items())
            rows.append(["mean", name, str(number), *means])
    print(table(["action", "method", "labelled clips", *(f"event error, {unit}" for unit in UNITS)], rows))
    header = ["action", "method", "labelled clips", "least sure third, %", "surest third, %", "rank correlation"]
    print(table(header, confident))


if __name__ == "__main__":
    main(*sys.argv[1:])
