"""Key events from a label of each frame, against a search for each phase by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import InputError
from pipeline.datasets.frame_labels import events_of


def test_by_hand():
    assert events_of([0, 7, 7, 3, 0, 3, 9], [7, 3, 8, 9], "here") == (1, 3, -1, 6)
    assert events_of([], [1], "here") == (-1,)
    with pytest.raises(InputError, match=r"order \[1, 2\], but got 1 after 2 in here, frame 2"):
        events_of([1, 2, 1], [1, 2], "here")


@given(st.lists(st.integers(0, 4), max_size=12), st.permutations([1, 2, 3]))
def test_first_frames_or_an_error(labels, phases):
    named = [phases.index(label) for label in labels if label in phases]
    if named != sorted(named):
        with pytest.raises(InputError, match="here, frame"):
            events_of(labels, phases, "here")
    else:
        expected = tuple(labels.index(phase) if phase in labels else -1 for phase in phases)
        assert events_of(labels, phases, "here") == expected
