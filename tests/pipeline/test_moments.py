"""A moment is found again, the nearest clip first, and the certainty says how sharply."""

import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.embedded import EmbeddedAction
from pipeline.metrics.clips import Clips
from pipeline.moment_strip import moment_strip
from pipeline.moments import certainty, nearest_moments, search
from pipeline.sequence import from_clips
from pipeline.skeleton import load_skeleton


def embedded(features):
    """Clips of these features; phase 1 from frame 3 on."""
    skeleton = load_skeleton("penn_13")
    rng = np.random.default_rng(0)
    clips = [
        Clip(f"c{n}", "wave", "val", rng.uniform(0, 100, (len(f), 13, 2)), np.ones((len(f), 13)), 10.0, events=(3,))
        for n, f in enumerate(features)
    ]
    facts = {"event_names": {"wave": ("up",)}, "poses": "annotated", "labels": "human", "to_train": False}
    sequences = from_clips(clips, dataset="waves", skeleton=skeleton, **facts)
    found = Clips(
        np.concatenate(features), sequences.offsets, sequences.phase, sequences.events, sequences.fps, sequences.names
    )
    return EmbeddedAction(sequences, tuple(range(len(clips))), found, "wave", "pose2d", 0)


@pytest.fixture
def three():
    """A clip, its copy, and one that is 0.5 off everywhere."""
    line = np.arange(8.0)[:, None]
    return embedded([line, line.copy(), line + 0.5])


def test_a_copy_holds_the_very_frame(three):
    first, second = search(three, 0, 5, range(3))
    assert (first.clip, first.frame, first.distance, first.confidence) == (1, 5, 0, 1)
    assert (second.clip, second.frame, second.distance) == (2, 4, 0.5)
    assert second.confidence < 1  # frame 5 is as near as frame 4


def test_the_nearest_frames_of_all_clips_are_ranked_together(three):
    found = nearest_moments(three, 0, 5, range(3), 4)
    assert [(match.clip, match.distance) for match in found] == [(1, 0), (2, 0.5), (2, 0.5), (1, 1)]


def test_certainty_is_the_share_of_the_weight_near_the_place():
    """Of 40 frames 2 on either side are near. Weights: 1 at the nearest and exp(1 - 2^2) at twice its distance."""
    distances = np.full(40, 1e6)
    distances[[10, 12, 30]] = 1.0, 2.0, 2.0
    twice = np.exp(-3)
    assert certainty(distances, 10) == pytest.approx((1 + twice) / (1 + 2 * twice))
    distances[30] = 1.0
    assert certainty(distances, 10) == pytest.approx((1 + twice) / (2 + twice))


def test_a_clip_that_stands_still_is_uncertain():
    assert certainty(np.zeros(100), 0) == pytest.approx(0.06)
    assert certainty(np.ones(100), 50) == pytest.approx(0.11)


@pytest.mark.parametrize("frame", [-1, 8])
def test_a_frame_that_is_not_there_is_told(three, frame):
    with pytest.raises(InputError, match=r"Expected a frame of 'c0' in 0\.\.7"):
        search(three, 0, frame, range(3))


def test_the_picture_says_of_each_match_whether_its_phase_is_right(three):
    figure = moment_strip(three, 0, 3, search(three, 0, 3, range(3)))
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert labels[0] == "c0\nframe 3\nfrom up"
    assert labels[1] == "c1\nframe 3\nsame phase" and labels[2] == "c2\nframe 2\nother: before up"
