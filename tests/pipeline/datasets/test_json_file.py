"""JSON of other tools: which frames are rows, what is damaged, and who is followed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import InputError
from pipeline.datasets.json_file import keypoints, parse_json, read_json
from pipeline.datasets.people import as_people, frame_rows


@pytest.mark.parametrize("text", [b"", b'{"a": 1', b"\xff\xfe\xfa", b"[" * 100_000, b'{"a": 1} {"b": 2}', b"9" * 5000])
def test_damaged_json_names_the_file_in_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"Expected JSON, but got .*a\.json\.") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_json_of_any_encoding_is_read_and_a_missing_file_named(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert parse_json('{"ü": [1]}'.encode(encoding), "x") == {"ü": [1]}
    with pytest.raises(InputError, match="No such file"):
        read_json(tmp_path / "none.json")


@given(st.sets(st.integers(0, 60), min_size=1))
def test_rows_are_every_number_that_can_be_a_frame(numbers):
    numbers = sorted(numbers)
    steps = [step for step in range(1, 61) if all((number - numbers[0]) % step == 0 for number in numbers)]
    step = max(steps) if len(numbers) > 1 else 1
    expected = list(range(numbers[0], numbers[-1] + 1, step))
    if len(expected) > 10 * len(numbers):
        with pytest.raises(InputError, match="numbers of frames"):
            frame_rows(numbers, "here")
    else:
        rows, found = frame_rows(numbers[::-1], "here")
        assert rows.tolist() == expected and found == step


def test_numbers_that_are_no_frames():
    for numbers, part in (
        ([], "there is none in here"),
        ([3, 4, 3], "frame 3 twice in here"),
        ([0, 1, 20231105], "3 from 0 to 20231105 in here"),
        ([10**30, 10**30 + 1], "numbers of frames"),
    ):
        with pytest.raises(InputError, match=part):
            frame_rows(numbers, "here")


def test_what_is_no_list_of_keypoints():
    for values, part in (
        (None, "'pose' of type list, but got NoneType"),
        ([1, 2, 1], "6 numbers 'pose', but got 3"),
        ([1, 2, 1, 1, "2", 1], "numbers 'pose', but got others"),
        ([1, 2, 1, 1, None, 1], "numbers 'pose', but got others"),
        ([1, 2, 1, 10**400, 2, 1], "numbers 'pose', but got others"),
        ([1, 2, 1, float("inf"), 2, 1], "finite numbers"),
    ):
        with pytest.raises(InputError, match=f"{part}.* in here"):
            keypoints({"pose": values}, "pose", 2, "here")
    nan = float("nan")
    assert keypoints({"pose": [1, 2.5, 1, nan, nan, 0]}, "pose", 2, "here")[0].tolist() == [1, 2.5, 1]


def test_confidence_a_little_above_one_is_one_and_percents_stay_wrong():
    people = as_people([np.array([[1, 2, 1.4], [3, 4, 0.25], [5, 6, 87]])], 3)
    assert people.confidence.tolist() == [[1, 0.25, 87]]
    assert as_people([], 3).joints.shape == (0, 3, 2)
