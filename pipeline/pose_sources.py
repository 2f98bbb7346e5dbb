"""The same videos with poses from several sources, side by side: the question of the paper's Table 13."""

from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.metrics.pck import TORSO, common_joints, pck, torso_size
from pipeline.sequence import PoseSequences
from pipeline.store import write_json
from pipeline.table import VARIANTS, read_rows, write_rows
from pipeline.tables import Table, headline_action
from pipeline.wording import describe, number, own, systems, table

OF_SOURCES = "pose_sources"
LEAST_COMMON = 0.5  # share of the smaller data set's validation videos that must be in the other, too


def videos(sequences: PoseSequences) -> dict[tuple[str, str], float]:
    """(action, name) of the validation videos, and how many seconds they last."""
    seconds = sequences.lengths / sequences.fps
    own = [n for n in range(len(sequences)) if sequences.splits[n] == "val"]
    return {(sequences.actions[n], sequences.names[n]): float(seconds[n]) for n in own}


def common_videos(a: PoseSequences, b: PoseSequences) -> set[tuple[str, str]]:
    """Validation videos of one action and name in both, which last equally long: a name may come twice by chance."""
    of_a, of_b = videos(a), videos(b)
    return {video for video in of_a.keys() & of_b.keys() if abs(of_a[video] - of_b[video]) <= 0.1 * of_a[video]}


def same_videos(datasets: dict[str, PoseSequences]) -> list[list[str]]:
    """Groups of two or more data sets, in their order, that show the same validation videos."""
    groups: list[list[str]] = []
    for name, sequences in datasets.items():
        for group in groups:
            first = datasets[group[0]]
            smaller = min(len(videos(first)), len(videos(sequences)))
            if len(common_videos(first, sequences)) >= LEAST_COMMON * smaller:
                group.append(name)
                break
        else:
            groups.append([name])
    return [group for group in groups if len(group) > 1]


def write_sources(
    group: list[str], datasets: dict[str, PoseSequences], details: dict[str, dict], results: Path, path: Path
) -> dict:
    """Write pose_sources.md, .csv and .json below `path`: such a group as a table of its own; returns counts.

    results: folder of the results by data set, whose rows of the long table the CSV and the JSON hold.
    """
    path.mkdir(parents=True, exist_ok=True)
    rows = [row for name in group for row in read_rows(results / name / "results.csv")]
    write_rows(rows, path / f"{OF_SOURCES}.csv")
    write_json(path / f"{OF_SOURCES}.json", {"datasets": group, "rows": rows})
    (path / f"{OF_SOURCES}.md").write_text(section(group, datasets, details), encoding="utf-8")
    return {"datasets": len(group), "rows": len(rows)}


def section(group: list[str], datasets: dict[str, PoseSequences], details: dict[str, dict]) -> str:
    """What the report says of such a group, as Markdown. details: each data set's details.json."""
    first, *others = comparison(group, datasets, details)
    parts = [f"## {first.title}\n\n{first.note}\n", table(first.header, first.rows)]
    return "\n".join([*parts, *(each.markdown() for each in others)])


def comparison(group: list[str], datasets: dict[str, PoseSequences], details: dict[str, dict]) -> list[Table]:
    """The scores of such a group side by side, then how far its joints agree."""
    common = set.intersection(*(common_videos(datasets[group[0]], datasets[name]) for name in group))
    counts = ", ".join(f"{name} {len(videos(datasets[name]))}" for name in group)
    note = (
        "Trained and scored each by itself, on its own validation videos, as in the paper's Table 13. Validation videos"
        f" in common: {len(common)} ({counts})."
    )
    scores_of = {}
    for name in group:
        scores_of[name] = details[name]["scores"][headline_action(details[name])]
    labels = systems(dict.fromkeys(found for scores in scores_of.values() for found in scores))
    rows = []
    for metric in ("event_error", "acc_100", "tau"):
        for name, scores in scores_of.items():
            for variant in VARIANTS:
                if any(metric in scores[ours][variant] for ours in own(scores)):
                    cells = [
                        number(scores[m].get(variant, {}).get(metric), metric) if m in scores else "-" for m in labels
                    ]
                    rows.append([describe(metric)[0], variant.replace("_", "-"), name, datasets[name].poses, *cells])
    title = f"The same videos, poses of several sources: {', '.join(group)}"
    scores = Table(title, ["metric", "variant", "data set", "poses", *labels.values()], rows, 4, note)
    best_first = sorted(group, key=lambda name: datasets[name].poses != "annotated")
    agreements = [_agreement(reference, other, datasets) for reference, other in combinations(best_first, 2)]
    return [scores, *(found for found in agreements if found)]


def _same_frames(a: PoseSequences, n: int, b: PoseSequences, m: int) -> bool:
    frames_a, frames_b = a.video_frames[a.frames(n)], b.video_frames[b.frames(m)]
    size = np.array_equal(a.frame_size[n], b.frame_size[m])
    return size and a.actions[n] == b.actions[m] and np.array_equal(frames_a, frames_b)


def _agreement(reference: str, other: str, datasets: dict[str, PoseSequences]) -> Table | None:
    """PCK of one source's joints against another's, where both are pixels of the same frames."""
    a, b = datasets[reference], datasets[other]
    if "projected" in (a.poses, b.poses):
        return None
    place = {name: n for n, name in enumerate(b.names)}
    # Validation videos alone: an estimator may have been fitted to the others.
    pairs = [(n, place[name]) for n, name in enumerate(a.names) if name in place and a.splits[n] == "val"]
    pairs = [(n, m) for n, m in pairs if _same_frames(a, n, b, m)]
    joints = common_joints(a.skeleton, b.skeleton)
    if not pairs or not joints or not set(TORSO) <= set(a.skeleton.joints):
        return ""
    of_a, of_b = (list(side) for side in zip(*joints, strict=True))
    frames_a = np.concatenate([np.arange(a.num_frames)[a.frames(n)] for n, _ in pairs])
    frames_b = np.concatenate([np.arange(b.num_frames)[b.frames(m)] for _, m in pairs])
    found = pck(
        b.joints[frames_b][:, of_b],
        b.confidence[frames_b][:, of_b],
        a.joints[frames_a][:, of_a],
        a.confidence[frames_a][:, of_a],
        torso_size(a.joints[frames_a], a.confidence[frames_a], a.skeleton),
    )
    rows = [
        [a.skeleton.joints[k], f"{100 * value:.1f}", str(count)]
        for k, value, count in zip(of_a, found.values, found.counts, strict=True)
    ]
    note = (
        "PCK@0.1: share of joints within 0.1 of the longer side of the box around shoulders and hips;"
        f" {len(pairs)} validation videos."
    )
    return Table(f"Joints of {other} against those of {reference}", ["joint", "PCK@0.1, %", "joints"], rows, 1, note)
