"""Two revisions' scores of one data set side by side: differences, their intervals over videos and seeds, verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from pipeline.inputs import CONTROLS
from pipeline.metrics.bootstrap import Score
from pipeline.summaries import Scores, mean_over_actions
from pipeline.table import ALL_ACTIONS, VARIANTS, is_trained, method_and_input

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
    training. seeds: how many each side was trained with. verdict: one of VERDICTS, or None where none is given. p: of
    better, worse and noise, adjusted over the data set's rows with one of these verdicts.
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
    p: float | None = None


class Interval(NamedTuple):
    """A difference, its interval, whether that contains the variance of training, and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    over_seeds: bool
    p: float


def compare(dataset: str, before: Results, after: Results, judged: Iterable[str] = ()) -> tuple[list[Row], list[str]]:
    """Every row that either revision has, the mean over actions and the headline metrics first; and notes.

    Verdicts are few, since each may be wrong by chance: on LA2DS, in the headline metrics and those of `judged`, of the
    mean over actions (or the only action). The mean is over the actions that both revisions have. A score that is not
    finite counts as lacking.
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
        metrics = metrics_of(scores for side in of_actions for scores in side.values())
        wanted = {*(headline_of(metrics) if first else ()), *(judged if first else ())}
        for metric in metrics:
            for system in dict.fromkeys(system for side in of_actions for system, _ in side):
                for variant in VARIANTS:
                    scores = [_over_seeds(side, system, variant, metric) for side in of_actions]
                    if any(scores):
                        verdict = metric in wanted and is_trained(system)
                        measured = _measure(scores, system, action not in unpaired, videos[action], metric, verdict)
                        rows.append(Row(dataset, action, system, metric, variant, **measured))
    return _step_down(rows), notes + _moved_controls(rows)


def lost(before: Results, after: Results | None, metrics: Iterable[str]) -> list[tuple[str, str]]:
    """(action, metric) of LA2DS that went with a whole action, or with the data set where `after` is None."""
    apart = {action: side for action, side in before.scores.items() if after is None or action not in after.scores}
    return [
        (action, metric)
        for action, side in apart.items()
        for metric in metrics
        if metric in metrics_of(v for (system, _), v in side.items() if is_trained(system))
    ]


def headline_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics of which a difference is judged."""
    return tuple(metric for metric in HEADLINE if metric in metrics) or ("tau",)


def interval(
    before: Sequence[Score], after: Sequence[Score], paired: bool, num_videos: int, trained: bool = True
) -> Interval:
    """The difference of two means over seeds; NaN where nothing is known of its variance.

    difference +- t(0.975, f) * sqrt(V + S_a + S_b), where V is the bootstrap variance over videos of the difference of
    the seeds' means (paired: of the same resamples), with N - 1 degrees of freedom; S = s^2 / n, from the n seeds' scores of
    a side, with n - 1; and f = (sum v)^2 / sum(v^2 / f_v) joins them (Welch 1947, Satterthwaite 1946). Sides may differ
    in their variance. With one seed on one side alone, the other's variance is taken for both: S = s^2 (1/n_a + 1/n_b).
    With one on each, V alone is left. s^2 holds how seeds differ from video to video, as V does: a little too wide rather
    than too narrow. Equal seeds do not make pairs: a changed network or a rounding makes of the same seed another draw.
    """
    value = float(np.mean([s.value for s in after]) - np.mean([s.value for s in before]))
    means = [np.mean([s.replicates for s in side], axis=0) for side in (before, after)]
    over_videos = _variance(means[1] - means[0]) if paired else _variance(means[0]) + _variance(means[1])
    parts = [(over_videos, max(num_videos - 1, 1))]
    training = _training_variance(before, after) if trained else []
    parts += training
    return welch(value, parts, bool(training))


def welch(value: float, parts: Sequence[tuple[float, int]], over_seeds: bool) -> Interval:
    """The interval of a value whose variance is the sum of these, each with its degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return Interval(value, value, value, over_seeds, float(value == 0))
    freedom = total**2 / sum(variance**2 / of_part for variance, of_part in parts)
    error = total**0.5
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(value) / error))
    return Interval(value, value - half, value + half, over_seeds, p)


def _variance(replicates: np.ndarray) -> float:
    """Of those that have a value; NaN where none has."""
    found = replicates[np.isfinite(replicates)]
    return float(np.var(found)) if len(found) else float("nan")


def _training_variance(before: Sequence[Score], after: Sequence[Score]) -> list[tuple[float, int]]:
    """Variances that training gives to the difference of the seeds' means, with degrees of freedom; none if unknown."""
    sides = [np.array([score.value for score in side]) for side in (before, after)]
    known = [(float(np.var(side, ddof=1)), len(side)) for side in sides if len(side) > 1]
    if len(known) == 1:
        return [(known[0][0] * sum(1 / len(side) for side in sides), known[0][1] - 1)]
    return [(variance / n, n - 1) for variance, n in known]


def metrics_of(systems: Iterable[Scores]) -> list[str]:
    """Every metric, the headline's first."""
    found = [m for variants in systems for metrics in variants.values() for m in metrics]
    first = headline_of(found)
    return list(dict.fromkeys([*(m for m in first if m in found), *found]))


def _over_seeds(side: dict[tuple[str, int], Scores], system: str, variant: str, metric: str) -> dict[int, Score]:
    return {
        seed: variants[variant][metric]
        for (name, seed), variants in side.items()
        if name == system and metric in variants[variant] and variants[variant][metric].finite
    }


def _measure(
    scores: list[dict[int, Score]], system: str, paired: bool, num_videos: int, metric: str, judged: bool
) -> dict:
    before, after = (float(np.mean([s.value for s in side.values()])) if side else None for side in scores)
    row = {"before": before, "after": after, "seeds": (len(scores[0]), len(scores[1]))}
    trained = method_and_input(system)[0] not in CONTROLS
    found = interval(*(list(s.values()) for s in scores), paired, num_videos, trained) if all(scores) else None
    if found is None or not np.isfinite(found.p):
        nothing = dict.fromkeys(("difference", "low", "high"))
        return row | nothing | {"over_seeds": False, "verdict": MISSING if judged else None}
    row |= {"difference": found.value, "low": found.low, "high": found.high}
    verdict = _verdict(scores, found.over_seeds) if judged else None
    return row | {
        "over_seeds": found.over_seeds or not trained,
        "verdict": verdict,
        "p": found.p if verdict == NOISE else None,
    }


def _verdict(scores: list[dict[int, Score]], over_seeds: bool) -> str:
    """Noise, until `_step_down` finds otherwise, where a verdict can be given."""
    before, after = scores
    if before.keys() == after.keys() and all(
        before[seed].value == after[seed].value
        and np.array_equal(before[seed].replicates, after[seed].replicates, equal_nan=True)
        for seed in before
    ):
        return SAME
    return NOISE if over_seeds else ONE_SEED


def _step_down(rows: list[Row]) -> list[Row]:
    """The rows with p adjusted (Holm 1979), better or worse where it is below 1 - LEVEL.

    The k-th smallest of m is multiplied by m - k + 1, and is no less than the one before: where nothing changed, the
    chance that any of the m is better or worse is at most 1 - LEVEL, however they depend on each other, as far as the p
    are right. Of few seeds they are too small: simulated with four rows, 2 to 6 % with three seeds a side that vary alike,
    5 to 14 % with two, with one on a side, or with unlike ones, the more the less the rows have in common.
    """
    rows, smallest = list(rows), 0.0
    candidates = sorted((i for i, row in enumerate(rows) if row.verdict == NOISE), key=lambda i: rows[i].p)
    for left, i in zip(range(len(candidates), 0, -1), candidates, strict=True):
        smallest = max(smallest, min(1.0, left * rows[i].p))
        rows[i] = replace(rows[i], p=smallest, verdict=_direction(rows[i]) if smallest < 1 - LEVEL else NOISE)
    return rows


def _direction(row: Row) -> str:
    return BETTER if (row.difference < 0) == (row.metric in LOWER_IS_BETTER) else WORSE


def _moved_controls(rows: list[Row]) -> list[str]:
    """A clock sees nothing that training changes: where its score moved, data, labels or the evaluation did."""
    moved = [row for row in rows if row.system == "time_only" and row.difference]
    if not moved:
        return []
    return [
        "time only changed as well: data, labels or evaluation differ, so differences are not those of training alone"
    ]
