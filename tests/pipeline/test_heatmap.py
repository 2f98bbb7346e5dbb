import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.crop import crop_box, to_grid
from pipeline.heatmap import RenderConfig, grid_sigma, num_channels, render, render_torch
from pipeline.skeleton import load_skeleton

ROUNDED = 1 / 255 + 1e-3
LIMBS = np.array([[0, 1], [1, 2], [3, 1], [2, 4]], np.int64)
CHANNELS = ("joints", "limbs", "joints+limbs")
SIGMAS = {
    "grid": np.array([0.6, 0.6]),
    "wide": np.array([4.0, 4.0]),
    "frame": np.array([0.4, 1.7]),
    "per frame": np.array([[0.6, 0.6], [0.3, 2.0], [1.0, 0.5]]),
}


def squared_distance(point, start, end):
    """From a point to the segment: the best of its ends and of the foot, if that lies between them."""
    candidates = [start, end]
    limb = end - start
    if limb @ limb > 0 and 0 <= (along := (point - start) @ limb / (limb @ limb)) <= 1:
        candidates.append(start + along * limb)
    return min((point - nearest) @ (point - nearest) for nearest in candidates)


def reference(uv, confidence, limbs, sigma, size_px, channels):
    """One pixel at a time, in double precision, straight from the formula."""
    uv = uv.astype(np.float64)
    frames = []
    for pose, score, scale in zip(uv, confidence, np.broadcast_to(sigma, (len(uv), 2)), strict=True):
        score = [0.0 if np.isnan(c) else float(c) for c in score]
        joints, segments = [], []
        for k in range(len(pose)):
            joints.append(((pose[k], pose[k]), score[k]))
        for a, b in limbs:
            segments.append(((pose[a], pose[b]), min(score[a], score[b])))
        drawn = {"joints": joints, "limbs": segments, "joints+limbs": joints + segments}[channels]
        maps = np.zeros((len(drawn), size_px, size_px))
        for channel, ((start, end), c) in enumerate(drawn):
            for v in range(size_px if c > 0 else 0):
                for u in range(size_px):
                    d2 = squared_distance(np.array([u, v]) / scale, start / scale, end / scale)
                    maps[channel, v, u] = c * np.exp(-d2 / 2)
        frames.append(maps)
    return np.stack(frames)


def as_torch(uv, confidence, limbs, sigma, size_px, channels, device="cpu"):
    tensors = (torch.from_numpy(array).to(device) for array in (uv, confidence, limbs, sigma))
    return render_torch(*tensors, size_px, channels).cpu().numpy()


@pytest.fixture(scope="module")
def scene():
    """Three frames of five joints: some low scores, one missing, one NaN, one outside, two limbs of no length."""
    rng = np.random.default_rng(0)
    uv = rng.uniform(-3, 33, (3, 5, 2)).astype(np.float32)
    confidence = rng.uniform(0.2, 1, (3, 5)).astype(np.float32)
    confidence[0, 2], confidence[1, 0] = 0, np.nan
    uv[1, 0] = np.nan  # where a joint is missing its coordinates mean nothing
    uv[0, 4] = [5000, -70]
    uv[1, 2] = uv[1, 1]
    uv[2, 3] = uv[2, 1] + np.float32(0.2)
    return uv, confidence


@pytest.mark.parametrize("size_px", [8, 17, 30])
@pytest.mark.parametrize("space", SIGMAS)
def test_both_renderers_equal_the_formula(scene, space, size_px):
    sigma = SIGMAS[space].astype(np.float32)
    expected = reference(*scene, LIMBS, sigma, size_px, "joints+limbs")
    for channels, part in zip(CHANNELS, (slice(5), slice(5, None), slice(None)), strict=True):
        maps = render(*scene, LIMBS, sigma, size_px, channels)
        assert maps.dtype == np.uint8
        assert np.abs(maps / 255.0 - expected[:, part]).max() <= 0.52 / 255  # half a step, and the polynomial
        floats = as_torch(*scene, LIMBS, sigma, size_px, channels)
        assert np.abs(floats - expected[:, part]).max() <= 1e-4


@pytest.mark.gpu
def test_a_gpu_draws_the_same(scene):
    sigma = SIGMAS["per frame"].astype(np.float32)
    maps = render(*scene, LIMBS, sigma, 30, "joints+limbs")
    assert np.abs(as_torch(*scene, LIMBS, sigma, 30, "joints+limbs", "cuda") - maps / 255.0).max() <= ROUNDED


def test_drawing_into_used_memory_leaves_nothing_of_it(scene):
    sigma = SIGMAS["grid"].astype(np.float32)
    out = np.full((3, 9, 30, 30), 77, np.uint8)
    assert render(*scene, LIMBS, sigma, 30, "joints+limbs", out) is out
    np.testing.assert_array_equal(out, render(*scene, LIMBS, sigma, 30, "joints+limbs"))


@pytest.mark.parametrize("length", [0.0, 1e-7, 1e-3, 0.3])
@pytest.mark.parametrize("better", [0, 1])
def test_a_limb_within_a_pixel_carries_the_smaller_score(length, better):
    uv = np.array([[[10, 10], [10 + length, 10]]], np.float32)
    confidence = np.full((1, 2), 0.25, np.float32)
    confidence[0, better] = 1
    limbs, sigma = np.array([[0, 1]]), np.full(2, 0.6, np.float32)
    assert render(uv, confidence, limbs, sigma, 30, "limbs").max() == round(0.25 * 255)
    assert as_torch(uv, confidence, limbs, sigma, 30, "limbs").max() == pytest.approx(0.25)


def test_channels_are_joints_then_limbs():
    skeleton = load_skeleton("penn_13")
    assert [num_channels(skeleton, channels) for channels in CHANNELS] == [
        len(skeleton.joints),
        len(skeleton.limbs),
        len(skeleton.joints) + len(skeleton.limbs),
    ]


# The literal construction: a map of the whole frame, cut to the box, resized bilinearly.


def literal(joints, confidence, sigma_px, box, size_px=30):
    x0, y0, width, height = box.astype(int)
    y, x = np.mgrid[y0 : y0 + height, x0 : x0 + width].astype(np.float64)  # of the full-frame map, what the crop keeps
    joints = joints.astype(np.float64)
    maps = [
        c * np.exp(-((x - k[0]) ** 2 + (y - k[1]) ** 2) / (2 * sigma_px**2))
        for k, c in zip(joints, confidence, strict=True)
    ]
    for a, b in LIMBS:
        limb = joints[b] - joints[a]
        along = np.clip(((x - joints[a, 0]) * limb[0] + (y - joints[a, 1]) * limb[1]) / (limb @ limb), 0, 1)
        d2 = (x - joints[a, 0] - along * limb[0]) ** 2 + (y - joints[a, 1] - along * limb[1]) ** 2
        maps.append(min(confidence[a], confidence[b]) * np.exp(-d2 / (2 * sigma_px**2)))
    resize = (size_px, size_px)
    return np.stack([cv2.resize(m.astype(np.float32), resize, interpolation=cv2.INTER_LINEAR) for m in maps])


def difference_to_literal(width, height, sigma_px, seed=0):
    """Largest difference over a few random poses that fill a box of the given size."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(4):
        joints = rng.uniform([40, 70], [40 + width, 70 + height], (1, 5, 2)).astype(np.float32)
        joints[0, 0], joints[0, 1] = [40, 70], [39.9 + width, 69.9 + height]
        confidence = rng.uniform(0.5, 1, (1, 5)).astype(np.float32)
        box = crop_box(joints, confidence)
        np.testing.assert_array_equal(box, [40, 70, width, height])
        sigma = grid_sigma(box, RenderConfig(sigma_px=sigma_px, sigma_space="frame"))
        maps = as_torch(to_grid(joints, box, 30), confidence, LIMBS, sigma, 30, "joints+limbs")
        worst = max(worst, np.abs(maps[0] - literal(joints[0], confidence[0], sigma_px, box)).max())
    return worst


@pytest.mark.parametrize(("width", "height"), [(90, 150), (30, 210), (330, 30)])
def test_frame_sigma_is_the_literal_construction_where_resizing_samples_pixels(width, height):
    """An odd multiple of the grid puts every sample on a pixel centre: no interpolation, whatever sigma is."""
    assert difference_to_literal(width, height, sigma_px=0.6) <= 1e-4


@pytest.mark.parametrize(("width", "height"), [(360, 360), (371, 498), (640, 400)])
def test_frame_sigma_is_the_literal_construction_at_0_6_heatmap_pixels(width, height):
    """Bilinear interpolation of a Gaussian errs by at most 1 / (4 sigma^2): 0.005 from 7.1 frame pixels up.

    That is 0.6 heatmap pixels of a crop 355 pixels wide. A narrower Gaussian falls between the samples of the literal
    construction, which then loses up to half of its height; ours does not.
    """
    assert difference_to_literal(width, height, sigma_px=0.6 * min(width, height) / 30) <= 0.005


@pytest.mark.parametrize("sigma_px", [1.5, 3.0, 6.0])
def test_frame_sigma_differs_from_the_literal_construction_by_interpolation_only(sigma_px):
    assert difference_to_literal(101, 164, sigma_px) <= 1 / (4 * sigma_px**2)


# Properties.

K = 4
CHAIN = np.array([[0, 1], [1, 2], [2, 3]], np.int64)
coordinates = arrays(np.float32, (2, K, 2), elements=st.floats(-4, 34, width=32))
scores = arrays(np.float32, (2, K), elements=st.sampled_from([0.0, 0.3, 1.0]).map(np.float32))
SIGMA = np.array([0.6, 0.9], np.float32)


def draw(uv, confidence, limbs=CHAIN, sigma=SIGMA):
    return render(uv, confidence, limbs, sigma, 30, "joints+limbs").astype(int)


@given(coordinates, scores, st.permutations(range(K)))
@settings(max_examples=50, deadline=None)
def test_permuted_joints_permute_joint_maps_and_leave_limb_maps(uv, confidence, order):
    maps = draw(uv, confidence)
    permuted = draw(uv[:, order], confidence[:, order], np.argsort(order)[CHAIN])
    np.testing.assert_array_equal(permuted[:, :K], maps[:, :K][:, order])
    np.testing.assert_array_equal(permuted[:, K:], maps[:, K:])


@given(coordinates, scores)
@settings(max_examples=50, deadline=None)
def test_mirrored_coordinates_mirror_the_maps(uv, confidence):
    mirrored = np.stack([29 - uv[..., 0], uv[..., 1]], axis=-1)
    assert np.abs(draw(mirrored, confidence) - draw(uv, confidence)[..., ::-1]).max() <= 1


@given(coordinates, scores, st.integers(0, K - 1))
@settings(max_examples=50, deadline=None)
def test_a_missing_joint_empties_its_map_and_its_limbs_only(uv, confidence, missing):
    maps = draw(uv, confidence)
    without = confidence.copy()
    without[:, missing] = 0
    touched = np.concatenate([np.arange(K) == missing, (missing == CHAIN).any(axis=1)])
    changed = draw(uv, without)
    assert not changed[:, touched].any()
    np.testing.assert_array_equal(changed[:, ~touched], maps[:, ~touched])


@given(coordinates, scores, st.integers(-5, 5), st.integers(-5, 5))
@settings(max_examples=50, deadline=None)
def test_a_shift_by_whole_heatmap_pixels_shifts_the_maps(uv, confidence, right, down):
    maps = draw(uv, confidence)
    shifted = draw(uv + np.array([right, down], np.float32), confidence)
    target = (slice(max(0, down), 30 + min(0, down)), slice(max(0, right), 30 + min(0, right)))
    origin = (slice(max(0, -down), 30 + min(0, -down)), slice(max(0, -right), 30 + min(0, -right)))
    assert np.abs(shifted[..., *target] - maps[..., *origin]).max() <= 1


@given(coordinates, scores)
@settings(max_examples=25, deadline=None)
def test_the_torch_renderer_equals_the_kernel(uv, confidence):
    floats = as_torch(uv, confidence, CHAIN, SIGMA, 30, "joints+limbs")
    assert np.abs(floats - draw(uv, confidence) / 255).max() <= ROUNDED
