"""Two revisions' scores of one data set side by side: differences, their intervals over videos and seeds, verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pipeline.metrics.bootstrap import Score
from pipeline.summaries import Scores, mean_over_actions
from pipeline.table import ALL_ACTIONS, CONTROLS, VARIANTS, method_and_input

HEADLINE = ("event_error", "acc_100")  # tau where there are no labels
LOWER_IS_BETTER = frozenset({"event_error"})
LEVEL = 0.95
BETTER, WORSE, NOISE, SAME, ONE_SEED, MISSING = VERDICTS = (
    "better",
    "worse",
    "noise",
    "same",
    "cannot tell (one seed)",
    "cannot tell (missing)",
)


@dataclass(frozen=True, eq=False)
class Results:
    """What one revision scored on one data set.

    scores: action -> (system, seed) -> variant -> metric -> Score. videos: action -> name and number of frames of each
    validation video. resampling: number and seed of the bootstrap's resamples. Equal videos and resampling at two
    revisions mean that replicate r of both drew the same videos.
    """

    scores: dict[str, dict[tuple[str, int], Scores]]
    videos: dict[str, tuple[tuple[str, int], ...]]
    resampling: tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One metric of one system before and after; None where a side lacks it.

    difference, low, high: after minus before, and its interval; `over_seeds` says whether that holds the variance of
    training. seeds: how many each side was trained with. verdict: one of VERDICTS, or None where none is given.
    """

    dataset: str
    action: str
    system: str
    metric: str
    variant: str
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    over_seeds: bool
    seeds: tuple[int, int]
    verdict: str | None


def compare(dataset: str, before: Results, after: Results, judged: Iterable[str] = ()) -> tuple[list[Row], list[str]]:
    """Every row that either revision has, the mean over actions and the headline metrics first; and notes.

    Verdicts are few, since each may be wrong by chance: on LA2DS, in the headline metrics and those of `judged`, of the
    mean over actions (or the only action). The mean is over the actions that both revisions have.
    """
    actions = [action for action in before.scores if action in after.scores]
    notes = []
    if apart := sorted(set(before.scores) ^ set(after.scores)):
        notes.append(f"only one revision has {', '.join(apart)}, which are left out")
    unpaired = {a for a in actions if before.videos[a] != after.videos[a] or before.resampling != after.resampling}
    if unpaired:
        notes.append(
            f"other validation videos or resamples ({', '.join(sorted(unpaired))}): intervals there are not paired"
        )
    sides = [{action: side.scores[action] for action in actions} for side in (before, after)]
    videos = {action: min(len(side.videos[action]) for side in (before, after)) for action in actions}
    if len(actions) > 1:
        sides = [{ALL_ACTIONS: mean_over_actions(side)[0], **side} for side in sides]
        videos[ALL_ACTIONS] = sum(videos.values()) - len(actions) + 1  # the actions' degrees of freedom together
        unpaired |= {ALL_ACTIONS} if unpaired else set()
    rows = []
    for action in sides[0]:
        first = action == next(iter(sides[0]))
        of_actions = [side[action] for side in sides]
        metrics = _metrics(of_actions)
        wanted = {*(headline_of(metrics) if first else ()), *(judged if first else ())}
        for metric in metrics:
            for system in dict.fromkeys(system for side in of_actions for system, _ in side):
                for variant in VARIANTS:
                    scores = [_over_seeds(side, system, variant, metric) for side in of_actions]
                    if any(scores):
                        verdict = metric in wanted and method_and_input(system)[0] == "la2ds"
                        measured = _measure(scores, system, action not in unpaired, videos[action], metric, verdict)
                        rows.append(Row(dataset, action, system, metric, variant, **measured))
    return rows, notes + _moved_controls(rows)


def headline_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics of which a difference is judged."""
    return tuple(metric for metric in HEADLINE if metric in metrics) or ("tau",)


def interval(
    before: Sequence[Score], after: Sequence[Score], paired: bool, num_videos: int, trained: bool = True
) -> tuple[float, float, float, bool]:
    """The difference of two means over seeds, low, high, and whether the interval contains the variance of training.

    difference +- t(0.975, f) * sqrt(V + S_a + S_b), where V is the bootstrap variance over videos of the difference of
    the seeds' means (paired: of the same resamples), with N - 1 degrees of freedom; S = s^2 / n, from the n seeds' scores of
    a side, with n - 1; and f = (sum v)^2 / sum(v^2 / f_v) joins them (Welch 1947, Satterthwaite 1946). Sides may differ
    in their variance. With one seed on one side alone, the other's variance is taken for both: S = s^2 (1/n_a + 1/n_b).
    With one on each, V alone is left. s^2 holds how seeds differ from video to video, as V does: a little too wide rather
    than too narrow. Equal seeds do not make pairs: a changed network or a rounding makes of the same seed another draw.
    """
    value = float(np.mean([s.value for s in after]) - np.mean([s.value for s in before]))
    means = [np.mean([s.replicates for s in side], axis=0) for side in (before, after)]
    over_videos = np.nanvar(means[1] - means[0]) if paired else np.nanvar(means[0]) + np.nanvar(means[1])
    parts = [(float(over_videos), max(num_videos - 1, 1))]
    training = _training_variance(before, after) if trained else []
    parts += training
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return value, value, value, bool(training)
    freedom = total**2 / sum(variance**2 / of_part for variance, of_part in parts)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * total**0.5
    return value, value - half, value + half, bool(training)


def _training_variance(before: Sequence[Score], after: Sequence[Score]) -> list[tuple[float, int]]:
    """Variances that training gives to the difference of the seeds' means, with degrees of freedom; none if unknown."""
    sides = [np.array([score.value for score in side]) for side in (before, after)]
    known = [(float(np.var(side, ddof=1)), len(side)) for side in sides if len(side) > 1]
    if len(known) == 1:
        return [(known[0][0] * sum(1 / len(side) for side in sides), known[0][1] - 1)]
    return [(variance / n, n - 1) for variance, n in known]


def _metrics(sides: Iterable[dict]) -> list[str]:
    """Every metric of an action, the headline's first."""
    found = [m for side in sides for variants in side.values() for metrics in variants.values() for m in metrics]
    first = headline_of(found)
    return list(dict.fromkeys([*(m for m in first if m in found), *found]))


def _over_seeds(side: dict[tuple[str, int], Scores], system: str, variant: str, metric: str) -> dict[int, Score]:
    return {
        seed: variants[variant][metric]
        for (name, seed), variants in side.items()
        if name == system and metric in variants[variant]
    }


def _measure(
    scores: list[dict[int, Score]], system: str, paired: bool, num_videos: int, metric: str, judged: bool
) -> dict:
    before, after = (float(np.mean([s.value for s in side.values()])) if side else None for side in scores)
    row = {"before": before, "after": after, "seeds": (len(scores[0]), len(scores[1]))}
    if before is None or after is None:
        nothing = dict.fromkeys(("difference", "low", "high"))
        return row | nothing | {"over_seeds": False, "verdict": MISSING if judged else None}
    trained = method_and_input(system)[0] not in CONTROLS
    value, low, high, over_seeds = interval(*(list(s.values()) for s in scores), paired, num_videos, trained)
    row |= {"difference": value, "low": low, "high": high, "over_seeds": over_seeds or not trained}
    return row | {"verdict": _verdict(scores, low, high, over_seeds, metric) if judged else None}


def _verdict(scores: list[dict[int, Score]], low: float, high: float, over_seeds: bool, metric: str) -> str:
    before, after = scores
    if before.keys() == after.keys() and all(
        before[seed].value == after[seed].value
        and np.array_equal(before[seed].replicates, after[seed].replicates, equal_nan=True)
        for seed in before
    ):
        return SAME
    if not over_seeds:
        return ONE_SEED
    if low <= 0 <= high:
        return NOISE
    return BETTER if (high < 0) == (metric in LOWER_IS_BETTER) else WORSE


def _moved_controls(rows: list[Row]) -> list[str]:
    """A clock sees nothing that training changes: where its score moved, data, labels or the evaluation did."""
    moved = [row for row in rows if row.system == "time_only" and row.difference]
    if not moved:
        return []
    return [
        "time only changed as well: data, labels or evaluation differ, so differences are not those of training alone"
    ]
