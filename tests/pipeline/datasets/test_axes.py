"""Axes and markers, which every reader of 3D files shares: a toy format with what the real ones have in common."""

from itertools import product
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.axes import AxesConfig, MarkersConfig, metres, read_markers

NAMES = ["Ann:LWA", "Ann:LWB", "Ann:EL", "Bob:EL", "b"]


class ToyConfig(MarkersConfig):
    reader: Literal["toy"] = "toy"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "rod.yaml").write_text("joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\n")
    for name in ("1", "2", "3"):
        (tmp_path / f"{name}.toy").touch()
    return tmp_path


def build(root, **changes):
    markers = np.arange(5 * 5 * 3, dtype=float).reshape(5, 5, 3)
    markers[2, 1] = np.nan
    settings = {"root": root, "pattern": r".*\.toy", "action": "wave", "val_fraction": 0.6, "skeleton": "rod.yaml"}
    config = ToyConfig(**settings | changes)
    return markers, read_markers(config, "toys", lambda path: (NAMES, markers, 50.0))


@pytest.mark.parametrize("left_handed", [False, True])
def test_turning_keeps_shapes_and_hands(left_handed):
    """Whatever the axes, up goes up, right goes right, and a right-handed triple stays one (a left-handed one turns)."""
    points = {
        axis: sign * np.eye(3)[i]
        for sign, mark in ((1, ""), (-1, "-"))
        for i, axis in enumerate(f"{mark}{c}" for c in "xyz")
    }
    for up, right in product(points, points):
        if up[-1] == right[-1]:
            with pytest.raises(ValidationError, match="same axis"):
                AxesConfig(up=up, right=right)
            continue
        config = AxesConfig(up=up, right=right, left_handed=left_handed)
        assert config.turn(points[right]).tolist() == [1, 0, 0] and config.turn(points[up]).tolist() == [0, 1, 0]
        assert np.isclose(np.linalg.det(config.turn(np.eye(3))), -1 if left_handed else 1)


def test_joints_by_name_by_marker_and_by_the_mean_of_several(root):
    markers, found = build(root, joints={"a": ["LWA", "Ann:LWB"], "c": "Bob:EL"})
    joints = found.joints[found.frames(0)]
    np.testing.assert_allclose(joints[0], [(markers[0, 0] + markers[0, 1]) / 2, markers[0, 4], markers[0, 3]])
    assert found.confidence[found.frames(0)].tolist() == [[1, 1, 1]] * 2 + [[0, 1, 1]] + [[1, 1, 1]] * 2
    assert found.poses == "motion_capture" and set(found.fps) == {50}


def test_a_joint_that_the_files_do_not_have_is_missing(root):
    _, found = build(root, joints={"a": [], "c": "LWA"})
    assert (found.confidence == [0, 1, 1]).all()


@pytest.mark.parametrize("marker", ["EL", "LWC"])  # two people have an EL
def test_an_absent_or_ambiguous_marker(root, marker):
    with pytest.raises(InputError, match=rf"all 3 .* Expected marker '{marker}' once for joint 'c', .*/1\.toy"):
        build(root, joints={"a": "LWA", "c": marker})


def test_a_joint_that_the_skeleton_does_not_have(root):
    with pytest.raises(InputError, match=r"joints of skeleton 'rod', but got \['elbow'\]"):
        build(root, joints={"elbow": "LWA"})


def test_units(tmp_path):
    assert metres(" MM ", None, tmp_path) == 0.001 and metres("nonsense", "cm", tmp_path) == 0.01
    with pytest.raises(InputError, match=r"unit of .*'mm'.*, but got 'nonsense' .* Set 'units'"):
        metres("nonsense", None, tmp_path)
