import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.crop import crop_box, to_grid

# A quarter pixel is exact in float32, so that shifts by whole pixels lose nothing.
poses = arrays(np.int32, (5, 4, 2), elements=st.integers(-2000, 2000)).map(lambda n: (n / 4).astype(np.float32))
visibility = arrays(np.bool_, (5, 4)).filter(np.any).map(lambda seen: seen.astype(np.float32))


def test_box_by_hand():
    joints = np.array([[[10.2, 20.0], [13.9, 29.5]], [[11.0, 25.0], [999.0, -999.0]]], np.float32)
    confidence = np.array([[1, 0.1], [1, 0]], np.float32)
    np.testing.assert_array_equal(crop_box(joints, confidence), [10, 20, 4, 10])
    np.testing.assert_array_equal(crop_box(joints, confidence, padding=0.5), [8, 15, 8, 20])
    np.testing.assert_array_equal(crop_box(joints, confidence, keep_aspect=True), [7, 20, 10, 10])
    np.testing.assert_array_equal(crop_box(joints, confidence, padding=0.5, keep_aspect=True), [2, 15, 20, 20])


def test_nan_confidence_is_missing_and_a_lone_joint_has_a_box():
    joints = np.array([[[5.5, 6.5], [np.nan, 900]]], np.float32)
    np.testing.assert_array_equal(crop_box(joints, np.array([[1, np.nan]], np.float32)), [5, 6, 1, 1])


@given(poses, visibility)
def test_box_is_the_smallest_of_whole_pixels(joints, confidence):
    x0, y0, width, height = crop_box(joints, confidence)
    visible = np.floor(joints[confidence > 0])
    assert set(np.unique(visible[:, 0])) <= set(range(int(x0), int(x0 + width)))
    assert set(np.unique(visible[:, 1])) <= set(range(int(y0), int(y0 + height)))
    for axis, (first, size) in enumerate([(x0, width), (y0, height)]):
        assert visible[:, axis].min() == first and visible[:, axis].max() == first + size - 1


@given(poses, visibility, st.integers(-300, 300), st.integers(-300, 300))
def test_shift_of_the_pose_shifts_the_box_and_leaves_the_grid(joints, confidence, right, down):
    shift = np.array([right, down], np.float32)
    box, shifted = crop_box(joints, confidence), crop_box(joints + shift, confidence)
    np.testing.assert_array_equal(shifted - box, [right, down, 0, 0])
    np.testing.assert_array_equal(to_grid(joints + shift, shifted, 30), to_grid(joints, box, 30))


def test_pixel_centres_and_edges_meet():
    box = np.array([100, 50, 60, 90], np.float32)
    edges = np.array([[99.5, 49.5], [159.5, 139.5]])  # of the first and last pixel of the crop
    np.testing.assert_allclose(to_grid(edges, box, 30), [[-0.5, -0.5], [29.5, 29.5]], atol=1e-5)
    np.testing.assert_allclose(to_grid(np.array([100.5, 51.0]), box, 30), [0, 0], atol=1e-5)


def test_one_box_for_each_frame():
    joints = np.random.default_rng(0).uniform(0, 400, (3, 4, 2))
    boxes = np.array([[0, 0, 100, 100], [10, 20, 30, 40], [5, 5, 300, 30]], np.float32)
    one_by_one = [to_grid(pose, box, 30) for pose, box in zip(joints, boxes, strict=True)]
    np.testing.assert_array_equal(to_grid(joints, boxes[:, None], 30), one_by_one)


def test_no_visible_joint_is_a_broken_invariant():
    with pytest.raises(AssertionError):
        crop_box(np.zeros((2, 3, 2), np.float32), np.zeros((2, 3), np.float32))
