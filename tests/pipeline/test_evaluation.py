import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.clip import phases_from_events
from pipeline.config import InputError
from pipeline.evaluation import EvaluateConfig, evaluate, evaluate_aligner, evaluate_majority
from pipeline.metrics.bootstrap import difference
from pipeline.metrics.clips import Clips
from pipeline.metrics.clock import break_clock, warp_clips
from pipeline.metrics.controls import time_only

CONFIG = EvaluateConfig(bootstrap_resamples=200)
METRICS = {
    "acc_10",
    "acc_50",
    "acc_100",
    "progression",
    "tau",
    "ap_5",
    "ap_10",
    "ap_15",
    "event_error",
    "event_within_5",
}


def trimmed_clips(num_videos: int, seed: int) -> Clips:
    """Trimmed clips, events near 30 % and 65 %; features: a noisy curve that follows the progress between events."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(30, 60, num_videos)
    shares = np.array([0.3, 0.65]) + rng.normal(0, 0.015, (num_videos, 2))
    events = np.rint(lengths[:, None] * shares).astype(np.int32)
    progress = np.concatenate(
        [np.interp(np.arange(num), [0, *event, num], [0, 1, 2, 3]) for num, event in zip(lengths, events, strict=True)]
    )
    curve = np.column_stack([progress, np.sin(2 * progress), np.cos(2 * progress), np.sin(4 * progress)])
    return Clips(
        features=(curve + rng.normal(0, 0.03, curve.shape)).astype(np.float32),
        offsets=np.cumsum([0, *lengths]),
        phase=np.concatenate([phases_from_events(e, num) for num, e in zip(lengths, events, strict=True)]),
        events=events,
        fps=np.full(num_videos, 30, dtype=np.float32),
        names=tuple(f"video {n}" for n in range(num_videos)),
    )


def variants_of(val: Clips) -> dict[str, Clips]:
    return {"plain": val, "clock_broken": warp_clips(val, break_clock(val.lengths, seed=0))}


def clock_of(clips: Clips) -> Clips:
    return replace(clips, features=time_only(clips.lengths))


def without_labels(clips: Clips) -> Clips:
    return replace(clips, phase=np.full_like(clips.phase, -1), events=np.empty((len(clips), 0), dtype=np.int32))


@pytest.fixture(scope="module")
def train() -> Clips:
    return trimmed_clips(20, seed=1)


@pytest.fixture(scope="module")
def variants() -> dict[str, Clips]:
    return variants_of(trimmed_clips(14, seed=2))


@pytest.fixture(scope="module")
def pose(train, variants):
    return evaluate(train, variants, CONFIG)


@pytest.fixture(scope="module")
def clock(train, variants):
    return evaluate(clock_of(train), {name: clock_of(clips) for name, clips in variants.items()}, CONFIG)


def test_every_metric_of_every_variant_has_an_interval_around_its_value(pose):
    assert set(pose.scores) == {"plain", "clock_broken"}
    for scores in pose.scores.values():
        assert set(scores) == METRICS
        for name, score in scores.items():
            assert score.low <= score.value <= score.high, name
    assert len(pose.label_order) == 20 and pose.notes == []


def test_a_clock_does_well_on_trimmed_clips_and_badly_once_the_clock_is_broken(pose, clock):
    plain, broken = clock.scores["plain"], clock.scores["clock_broken"]
    assert plain["tau"].value > 0.99 and broken["tau"].value > 0.99  # whatever is done: no headline
    assert plain["acc_100"].value > 90 and plain["progression"].value > 0.98 and plain["event_error"].value < 3
    # The target of progression holds t / T itself, so that a clock keeps part of it.
    assert broken["acc_100"].value < 80 and broken["progression"].value < 0.8 and broken["event_error"].value > 12
    for metric in ("acc_100", "ap_10", "event_within_5"):
        gain = difference(pose.scores["clock_broken"][metric], broken[metric])
        assert gain.low > 0, metric
    assert difference(pose.scores["clock_broken"]["event_error"], broken["event_error"]).high < 0
    assert pose.scores["clock_broken"]["acc_100"].value > 90
    assert pose.scores["clock_broken"]["event_error"].value < 4


def test_details_are_json_and_add_up(pose, variants):
    json.dumps(pose.details, allow_nan=False)
    for name, details in pose.details.items():
        table = np.array(details["confusion"])
        assert table.sum() == variants[name].offsets[-1]
        assert 100 * np.trace(table) / table.sum() == pytest.approx(pose.scores[name]["acc_100"].value)
        assert np.mean(details["progression_per_event"]) == pytest.approx(pose.scores[name]["progression"].value)
        assert (details["tau_pairs"], details["tau_nan_pairs"]) == (14 * 13, 0)
        assert details["acc_100_logistic"]["value"] > 80
    assert pose.details["plain"]["event_pairs"] == 2 * 14 * 13 > pose.details["clock_broken"]["event_pairs"]
    assert pose.details["plain"]["event_error_ms"]["value"] > 0


def test_the_same_inputs_give_the_same_numbers(pose, train, variants):
    again = evaluate(train, variants, CONFIG)
    assert again.details == pose.details and again.label_order == pose.label_order
    for name, scores in pose.scores.items():
        for metric, score in scores.items():
            assert score.replicates.tobytes() == again.scores[name][metric].replicates.tobytes()


def test_a_perfect_embedding():
    val = trimmed_clips(1, seed=3)
    copies = Clips(
        features=np.tile(val.features, (5, 1)),
        offsets=np.arange(6) * val.offsets[-1],
        phase=np.tile(val.phase, 5),
        events=np.tile(val.events, (5, 1)),
        fps=np.tile(val.fps, 5),
        names=tuple("abcde"),
    )
    scores = evaluate(copies, {"plain": copies}, CONFIG).scores["plain"]
    assert scores["tau"].value == pytest.approx(1)
    assert scores["event_error"].value == 0 and scores["event_within_5"].value == 100


def test_unlabelled_clips_get_tau_only(train, variants):
    unlabelled = {name: without_labels(clips) for name, clips in variants.items()}
    result = evaluate(without_labels(train), unlabelled, CONFIG)
    assert [set(scores) for scores in result.scores.values()] == [{"tau"}, {"tau"}]
    assert result.notes == ["no phase labels: tau only"]
    assert evaluate_majority(without_labels(train), unlabelled, CONFIG).scores == {"plain": {}, "clock_broken": {}}


def test_labels_without_key_events_get_no_order_metrics(train, variants):
    def repeating(clips: Clips) -> Clips:
        return replace(clips, events=np.empty((len(clips), 0), dtype=np.int32))

    result = evaluate(repeating(train), {"plain": repeating(variants["plain"])}, CONFIG)
    assert set(result.scores["plain"]) == METRICS - {"tau", "progression", "event_error", "event_within_5"}
    assert "may repeat" in result.notes[0]
    assert len(result.details["plain"]["confusion"]) == 3


def test_what_cannot_be_computed_is_left_out_with_a_note(train):
    val = trimmed_clips(2, seed=4)
    val = replace(val, events=np.array([[-1, 20], [10, -1]], dtype=np.int32))
    result = evaluate(train, {"plain": val}, EvaluateConfig(bootstrap_resamples=50, retrieval_k=(5, 100)))
    scores = result.scores["plain"]
    assert "ap_5" in scores and not {"ap_100", "event_error", "event_within_5"} & set(scores)
    assert np.isfinite([score.value for score in scores.values()]).all()
    for metric in ("ap_100", "event_error", "event_within_5", "event_error_ms"):
        assert any(note.startswith(f"{metric} (plain) left out") for note in result.notes)


def test_too_few_labelled_training_videos_are_rounded_up_with_a_note(variants):
    result = evaluate(trimmed_clips(4, seed=5), {"plain": variants["plain"]}, CONFIG)
    assert result.notes == ["label fraction 0.1 of 4 training videos rounded up to one video"]
    assert "acc_10" in result.scores["plain"]


def test_majority_predicts_the_most_frequent_training_phase(train, variants):
    result = evaluate_majority(train, variants, CONFIG)
    most = np.bincount(train.phase).argmax()
    for name, clips in variants.items():
        assert set(result.scores[name]) == {"acc_10", "acc_50", "acc_100"}
        assert result.scores[name]["acc_100"].value == pytest.approx(100 * (clips.phase == most).mean())


@pytest.mark.parametrize("name", ["dtw", "soft_dtw"])
def test_an_aligner_is_scored_on_the_pairs_of_every_other_system(name, pose, clock, train, variants):
    result = evaluate_aligner(name, train, variants, CONFIG)
    assert result.label_order == pose.label_order and result.notes == []
    json.dumps(result.details, allow_nan=False)
    for variant, scores in result.scores.items():
        assert list(scores) == ["event_error", "event_within_5", "tau"]
        assert scores["tau"].value > 0.9  # a path never goes back
        details = result.details[variant]
        assert set(details) == {"event_error_ms", "event_pairs", "tau_pairs", "tau_nan_pairs"}
        assert all(details[key] == pose.details[variant][key] for key in ("event_pairs", "tau_pairs"))
        gain = difference(scores["event_error"], clock.scores[variant]["event_error"])
        assert gain.value < gain.high < 0 or variant == "plain"
    assert result.scores["plain"]["event_error"].value < 3 < result.scores["clock_broken"]["event_error"].value


def test_an_aligner_reads_no_training_feature_and_none_that_is_not_finite(train, variants):
    nothing = replace(train, features=np.full_like(train.features, np.nan))
    scores = [evaluate_aligner("dtw", clips, variants, CONFIG).scores["plain"] for clips in (train, nothing)]
    assert scores[0]["event_error"].value == scores[1]["event_error"].value
    features = variants["plain"].features.copy()
    features[3] = np.nan
    with pytest.raises(InputError, match="in the plain clips, clip 'video 0', frame 3"):
        evaluate_aligner("dtw", train, {"plain": replace(variants["plain"], features=features)}, CONFIG)


def test_an_aligner_of_clips_without_labels_or_events(train, variants):
    unlabelled = {name: without_labels(clips) for name, clips in variants.items()}
    result = evaluate_aligner("dtw", without_labels(train), unlabelled, CONFIG)
    assert [set(scores) for scores in result.scores.values()] == [{"tau"}, {"tau"}]
    assert result.notes == ["no phase labels: tau only"]
    repeating = replace(variants["plain"], events=np.empty((len(variants["plain"]), 0), dtype=np.int32))
    repeated = replace(train, events=np.empty((len(train), 0), dtype=np.int32))
    result = evaluate_aligner("dtw", repeated, {"plain": repeating}, CONFIG)
    assert result.scores == {"plain": {}} and "may repeat" in result.notes[0]


def test_a_collapsed_training_run_is_an_error_that_names_the_clip(train, variants):
    features = variants["plain"].features.copy()
    features[3] = np.inf
    with pytest.raises(InputError, match="in the plain clips, clip 'video 0', frame 3"):
        evaluate(train, {"plain": replace(variants["plain"], features=features)}, CONFIG)


@pytest.mark.parametrize(
    "wrong", [{"label_fractions": (0.0,)}, {"retrieval_k": (0,)}, {"tau_stride": 0}, {"bootstrap": 5}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        EvaluateConfig(**wrong)
