"""ROC-AUC with which planted errors are found: `python results/deviations.py NAME [train]`.

Run in the project's root, after `dvc repro`. Into every validation clip one error of each kind is planted (with
`train`: into the training clips, on which `la2ds deviations` was designed, each compared with the others); normal are the
training clips. Frames: those affected against all others of the changed clips. Clips: the changed against the untouched,
by the 95th percentile of their frames. Brackets: 95 % bootstrap interval over clips. Controls: the same procedure on
raw poses instead of the embedding, and along the clock instead of a path. Limb: share of the frames with a wrong limb
in which the worst joint is one of those moved.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.stats import rankdata

from pipeline.config import InputError
from pipeline.crop import crop_boxes
from pipeline.deviations import Deviation, Motion, Normals, body_coordinates
from pipeline.embedded import load_embedded
from pipeline.heatmap_store import HeatmapStore
from pipeline.metrics.bootstrap import Score, bootstrap, mean_score
from pipeline.metrics.controls import raw_pose
from pipeline.modalities.stores import Paths
from pipeline.newcomers import embed_sequences
from pipeline.planted_errors import ERRORS, Planted
from pipeline.sequence import PoseSequences, clips_of, from_clips, read_sequences
from pipeline.wording import table
from stages.base import stage

RESAMPLES, SEED, CLIP_PERCENTILE = 1000, 0, 95
PARTS = {
    "all": lambda found: found.score,
    "embedding": lambda found: found.pose,
    "tempo": lambda found: found.tempo,
    "joints": lambda found: found.joints.max(axis=1),
}


def auc(found: list[np.ndarray], other: list[np.ndarray]) -> Score:
    """ROC-AUC of scores that should be high against those that should be low, N clips of each, resampled together."""
    wins, pairs = np.empty((2, len(found), len(other)))
    for i, high in enumerate(found):
        for j, low in enumerate(other):
            ranks = rankdata(np.concatenate([high, low]))[: len(high)]
            wins[i, j] = ranks.sum() - len(high) * (len(high) + 1) / 2
            pairs[i, j] = len(high) * len(low)

    def estimate(weights: np.ndarray) -> np.ndarray:
        return ((weights @ wins) * weights).sum(axis=1) / ((weights @ pairs) * weights).sum(axis=1)

    return bootstrap(estimate, len(found), RESAMPLES, SEED)


def changed(sequences: PoseSequences, clips: list, seed: int) -> dict[str, list[Planted]]:
    """Error -> one planted into each clip."""
    return {
        kind: [plant(clip, sequences.skeleton, np.random.default_rng([seed, n])) for n, clip in enumerate(clips)]
        for kind, plant in ERRORS.items()
    }


def store(clips: list, like: PoseSequences) -> PoseSequences:
    """The clips by themselves, in their order; a name may come twice."""
    named = [replace(clip, name=f"{n} {clip.name}", events=()) for n, clip in enumerate(clips)]
    kept = {"dataset": like.dataset, "skeleton": like.skeleton, "poses": like.poses}
    return from_clips(named, **kept, event_names={}, labels="none", to_train=False)


def motions(sequences: PoseSequences, features: list[np.ndarray]) -> list[Motion]:
    rows = [sequences.frames(n) for n in range(len(sequences))]
    poses = [body_coordinates(sequences.joints[r], sequences.confidence[r]) for r in rows]
    return [Motion(*parts) for parts in zip(features, poses, sequences.fps.tolist(), strict=True)]


def raw(sequences: PoseSequences, heatmaps: HeatmapStore) -> list[np.ndarray]:
    render = heatmaps.config
    boxes = crop_boxes(sequences.joints, sequences.confidence, sequences.offsets, render.padding, render.keep_aspect)
    whole = raw_pose(sequences.joints, sequences.confidence, boxes, sequences.offsets)
    return np.split(whole, sequences.offsets[1:-1])


def scored(normals: Normals, clips: list[Motion], leave: bool) -> list[Deviation]:
    return [normals.deviation(clip, n if leave else None) for n, clip in enumerate(clips)]


def shown(score: Score) -> str:
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"


@stage
def main(dataset: str, split: Annotated[str, typer.Argument()] = "val") -> None:
    if split not in ("val", "train"):
        raise InputError(f"Expected val or train, but got {split!r}. Correct it.")
    paths = Paths(*(Path("data") / kind / dataset for kind in ("poses", "heatmaps", "frames")))
    results, heatmaps = Path("data/results") / dataset, HeatmapStore(paths.heatmaps)
    headline, means, parts = [], {}, []
    actions = sorted(read_sequences(paths.poses).event_names)
    for action in actions:
        embedded = load_embedded(paths.poses, results, action, "pose2d")
        network = Path("data/models") / dataset / action / "la2ds" / f"seed_{embedded.seed}"
        every, sequences = list(clips_of(embedded.sequences)), embedded.sequences

        groups = {s: [every[embedded.numbers[i]] for i in embedded.of_split(s)] for s in ("train", split)}
        planted = changed(sequences, groups[split], seed=SEED + (split == "val"))
        stores = {"normal": store(groups["train"], sequences), "untouched": store(groups[split], sequences)}
        stores |= {kind: store([error.clip for error in errors], sequences) for kind, errors in planted.items()}
        learned = {name: embed_sequences(found, network, paths) for name, found in stores.items()}
        raws = {name: raw(found, heatmaps) for name, found in stores.items()}
        for system, (features, alignment) in {
            "LA2DS": (learned, "dtw"),
            "raw pose": (raws, "dtw"),
            "LA2DS along the clock": (learned, "clock"),
            "raw pose along the clock": (raws, "clock"),
        }.items():
            clips = {name: motions(found, features[name]) for name, found in stores.items()}
            normals = Normals(clips["normal"], alignment)
            untouched = scored(normals, clips["untouched"], split == "train")
            row = [action, system]
            for kind, errors in planted.items():
                found = scored(normals, clips[kind], split == "train")
                cells = []
                for part, value in PARTS.items():
                    values = [value(one) for one in found]
                    frames = [of_clip[error.frames] for of_clip, error in zip(values, errors, strict=True)]
                    others = [of_clip[~error.frames] for of_clip, error in zip(values, errors, strict=True)]
                    high, low = (
                        [np.percentile(value(one), [CLIP_PERCENTILE]) for one in group] for group in (found, untouched)
                    )
                    scores = auc(frames, others), auc(high, low)
                    if part == "all":
                        row += map(shown, scores)
                        means.setdefault(system, {}).setdefault(kind, []).append(scores)
                    else:
                        cells.append(" / ".join(f"{score.value:.2f}" for score in scores))
                limb = "-"
                if kind == "wrong limb":
                    hits = [
                        error.joints[one.joints.argmax(axis=1)[error.frames]]
                        for one, error in zip(found, errors, strict=True)
                    ]
                    limb = f"{100 * np.concatenate(hits).mean():.0f} %"
                parts.append([action, system, kind, *cells, limb])
            headline.append(row)
            share = np.mean([(one.score > 1).mean() for one in untouched])
            print(
                f"{action}, {system}: {100 * share:.1f} % of the untouched clips' frames are beyond 1", file=sys.stderr
            )
    if len(actions) > 1:
        for system, kinds in means.items():
            cells = [shown(mean_score(list(part))) for found in kinds.values() for part in zip(*found, strict=True)]
            headline.append(["mean", system, *cells])
    print(table(["action", "method", *(f"{kind}, {of}" for kind in ERRORS for of in ("frames", "clips"))], headline))
    print(
        table(
            ["action", "method", "error", "embedding alone: frames / clips", "tempo alone", "joints alone", "limb"],
            parts,
        )
    )


if __name__ == "__main__":
    typer.run(main)
