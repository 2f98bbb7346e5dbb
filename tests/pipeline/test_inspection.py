import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.inspection import inspect
from pipeline.sequence import from_clips
from pipeline.skeleton import skeleton_from_dict

SKELETON = skeleton_from_dict({"name": "two", "joints": ["head", "tail"], "limbs": [[0, 1]]}, "test")


def clip(name, action, split, num_frames, fps, missing=(), **more):
    """missing: (frame, joint) pairs; all others have confidence 0.5."""
    confidence = np.full((num_frames, 2), 0.5)
    for frame, joint in missing:
        confidence[frame, joint] = 0
    return Clip(name, action, split, np.ones((num_frames, 2, 2)), confidence, fps, **more)


@pytest.fixture
def sequences():
    clips = [
        clip("a", "walk", "train", 4, 10.0, missing=[(0, 0), (0, 1), (1, 1)], events=(2, -1), video="a.mp4"),
        clip("b", "walk", "train", 8, 20.0),
        clip("c", "walk", "train", 5, 10.0, events=(-1, 3)),
        clip("d", "walk", "val", 10, 10.0, missing=[(t, 1) for t in range(10)]),
        clip("e", "walk", "val", 20, 10.0, events=(2, 3)),
        *(clip(f"sit{n}", "sit", "val" if n else "train", 4, 4.0) for n in range(3)),
    ]
    return from_clips(
        clips,
        dataset="animals",
        skeleton=SKELETON,
        event_names={"walk": ("up", "down")},
        poses="estimated",
        labels="human",
        left_out={
            "v_1": "Expected a video, but got 3 bytes in raw/v_1.mp4.",
            "short": "fewer than 4 frames (3)",
            "v_22": "Expected a video, but got 17 bytes in raw/v_22.mp4.",
            "v_3": "Expected a video, but got nobody in raw/v_3.mp4.",
        },
        provenance={"estimator": "eyes 1.0"},
    )


def test_counts_lengths_and_labels_by_action_and_split(sequences):
    found = {(part.action, part.split): part for part in inspect(sequences).parts}
    assert list(found) == [("walk", "train"), ("walk", "val"), ("sit", "train"), ("sit", "val")]
    train = found["walk", "train"]
    assert (train.sequences, train.frames, train.labelled) == (3, 17, 2)
    assert (train.length.min, train.length.median, train.length.max) == (4, 5, 8)
    assert (train.seconds.min, train.seconds.median, train.seconds.max) == (0.4, 0.4, 0.5)
    assert (train.fps.min, train.fps.max) == (10, 20)
    assert train.nobody_percent == pytest.approx(100 / 17, abs=0.01)
    assert found["walk", "val"].nobody_percent == 0
    assert inspect(sequences).events == {"walk": {"up": 2, "down": 2}, "sit": {}}


def test_missing_joints_over_all_frames(sequences):
    found = inspect(sequences)
    head, tail = found.joints
    assert found.frames == 59 and found.seconds == pytest.approx(0.4 + 0.4 + 0.5 + 1 + 2 + 3)
    assert (head.missing_percent, head.confidence) == (pytest.approx(100 / 59, abs=0.01), 0.5)
    assert tail.missing_percent == pytest.approx(1200 / 59, abs=0.01)
    assert found.missing_percent == pytest.approx(1300 / 118, abs=0.01)
    assert found.nobody_percent == pytest.approx(100 / 59, abs=0.01)
    assert found.with_video == 1
    never = replace(sequences, confidence=sequences.confidence * [1, 0])
    assert inspect(never).joints[1].confidence is None and inspect(never).joints[1].missing_percent == 100


def test_reasons_that_differ_in_names_and_numbers_are_one(sequences):
    first, *others = inspect(sequences).left_out
    assert first.names == ("v_1", "v_22") and first.reason == sequences.left_out["v_1"]
    assert {group.names for group in others} == {("short",), ("v_3",)}


def test_it_is_json(sequences):
    found = inspect(sequences)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["parts"][0]["length"] == {"min": 4, "median": 5, "max": 8}
    assert again["left_out"][0]["names"] == ["v_1", "v_22"] and again["provenance"] == {"estimator": "eyes 1.0"}
