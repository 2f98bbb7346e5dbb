"""A moment is found again, the nearest clip first."""

import numpy as np
import pytest

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.embedded import EmbeddedAction
from pipeline.metrics.clips import Clips
from pipeline.moment_strip import moment_strip
from pipeline.moments import nearest_moments, search
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
    assert (first.clip, first.frame, first.distance) == (1, 5, 0)
    assert (second.clip, second.frame, second.distance) == (2, 4, 0.5)
    # Frames that lie d further away than the nearest count exp(-2 d), as a clip moves on by 1 within 5 %, one frame.
    weight = np.exp(-2 * np.arange(6))
    assert first.confidence == pytest.approx((1 + 2 * weight[1]) / (weight.sum() + weight[1:3].sum()))
    assert second.confidence == pytest.approx((2 + weight[1]) / (2 * weight[:3].sum() + weight[3:5].sum()))


def test_the_nearest_frames_of_all_clips_are_ranked_together(three):
    found = nearest_moments(three, 0, 5, range(3), 4)
    assert [(match.clip, match.distance) for match in found] == [(1, 0), (2, 0.5), (2, 0.5), (1, 1)]


@pytest.mark.parametrize("frame", [-1, 8])
def test_a_frame_that_is_not_there_is_told(three, frame):
    with pytest.raises(InputError, match=r"Expected a frame of 'c0' in 0\.\.7"):
        search(three, 0, frame, range(3))


def test_the_picture_says_of_each_match_whether_its_phase_is_right(three):
    figure = moment_strip(three, 0, 3, search(three, 0, 3, range(3)))
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert labels[0] == "c0\nframe 3\nfrom up"
    assert labels[1] == "c1\nframe 3\nsame phase" and labels[2] == "c2\nframe 2\nother: before up"
