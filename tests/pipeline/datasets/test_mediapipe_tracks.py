"""MediaPipe landmarks in arrays and JSON dumps."""

import json
import re

import numpy as np
import pytest

from pipeline.datasets.mediapipe_tracks import MediaPipeTracksConfig, read


def landmarks(num_frames=6, num_joints=33):
    """(T, K, 4) x y z visibility; the frame is 200 x 100 pixels."""
    found = np.zeros((num_frames, num_joints, 4), dtype=np.float32)
    found[..., 0] = np.arange(num_joints) / 64 + 0.25
    found[..., 1] = np.arange(num_frames)[:, None] / 8 + 0.125
    found[..., 2], found[..., 3] = -0.5, 0.75
    return found


def settings(root, **changes):
    base = {"root": root, "action": "wave", "fps": 25, "frame_size": [200, 100], "val_fraction": 0.6}
    return MediaPipeTracksConfig(**base | changes)


def test_arrays(tmp_path):
    array = landmarks()
    array[2] = 0  # as tools write a frame with nobody
    array[3] = np.nan
    array[4, 5, 3] = 0
    np.savez(tmp_path / "all.npz", a=array, b=array, c=array)
    found = read(settings(tmp_path, pattern="all.npz"), "mp")
    assert found.names == ("a", "b", "c") and found.skeleton.name == "mediapipe_33" and set(found.fps) == {25}
    assert found.joints[1, 16].tolist() == [0.5 * 200 - 0.5, 0.25 * 100 - 0.5] and found.confidence[1, 16] == 0.75
    assert (found.confidence[:6] == 0).sum(axis=1).tolist() == [0, 0, 33, 33, 1, 0]
    assert found.frame_size.tolist() == [[200, 100]] * 3
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", array)
    np.testing.assert_array_equal(read(settings(tmp_path, pattern=r".\.npy"), "mp").joints, found.joints)


def test_hands_have_no_visibility(tmp_path):
    array = landmarks(num_joints=21)[..., :3]
    array[2] = 0
    np.savez(tmp_path / "all.npz", a=array, b=array, c=array)
    found = read(settings(tmp_path, pattern="all.npz", skeleton="hand_21"), "mp")
    assert found.confidence[:6].mean(axis=1).tolist() == [1, 1, 0, 1, 1, 1]


def dump(array, keys="xyzv"):
    names = {"x": "x", "y": "y", "z": "z", "v": "visibility"}
    return [[{names[key]: float(one["xyzv".index(key)]) for key in keys} for one in frame] for frame in array]


def test_json(tmp_path):
    array = landmarks()
    plain = dump(array)
    plain[2] = []
    named = [{"landmarks": one, "t": 0.04} for one in dump(array, "yxv")]
    named[2] = {"landmarks": None}
    named[3] = None
    array[2] = np.nan
    np.savez(tmp_path / "a.npz", a=array, b=array, c=array)
    expected = read(settings(tmp_path, pattern="a.npz"), "mp")
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps(plain))
    (tmp_path / "c.json").write_text(json.dumps({"fps": 25, "frames": named}))
    found = read(settings(tmp_path, pattern=r".\.json"), "mp")
    np.testing.assert_array_equal(found.joints[:12], expected.joints[:12])
    np.testing.assert_array_equal(found.confidence[:12], expected.confidence[:12])
    assert (found.confidence[12:] > 0).all(axis=1).tolist() == [True, True, False, False, True, True]
    assert found.joints[13, 4].tolist() == expected.joints[1, 4].tolist()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([[{"x": 0.1, "y": 0.2}] * 32], "33 landmarks, but got 32 in .*d.json, frame 0"),
        ([[], [{"x": 0.1, "y": "0.2"}] * 33], "'y' of type.*d.json, frame 1"),
        ([[0.1] * 33], "a landmark of type dict, but got float.*frame 0"),
        ([{"landmarks": {"0": 1}}], "landmarks of type list"),
        ({"results": []}, "'frames' of type list"),
        ([7], "landmarks of type list, but got int"),
    ],
)
def test_a_wrong_json_is_left_out_and_named(tmp_path, content, part):
    for name in "abc":
        (tmp_path / f"{name}.json").write_text(json.dumps(dump(landmarks())))
    (tmp_path / "d.json").write_text(json.dumps(content))
    found = read(settings(tmp_path, pattern=r".\.json"), "mp")
    assert found.names == ("a", "b", "c") and re.search(part, found.left_out["d"]), found.left_out


def test_wrong_arrays_are_left_out_and_named(tmp_path):
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", landmarks())
    np.save(tmp_path / "d.npy", landmarks(num_joints=17))
    np.save(tmp_path / "e.npy", landmarks().astype(str))
    found = read(settings(tmp_path, pattern=r".\.npy"), "mp")
    assert r"(T, 33, 3 or 4)" in found.left_out["d"] and "(6, 17, 4)" in found.left_out["d"]
    assert "Expected numbers" in found.left_out["e"] and "e.npy" in found.left_out["e"]


@pytest.mark.shared
def test_pushups_agree_with_movenet_in_the_same_pixels(shared):
    config = settings(
        shared / "pushup_videos",
        pattern=r"mediapipe33_xyzv\.npz",
        action="pushup",
        frame_size=[640, 360],
        events={
            "path": "derived_events.csv",
            "sequence": ["clip"],
            "columns": ["lowest_frame"],
            "group": "source_group",
        },
        val_fraction=0.3,
    )
    found = read(config, "pushup")
    assert len(found) == 50 and not found.left_out and (found.events >= 0).all() and set(found.groups) >= {"s00"}
    shoulder = found.skeleton.joints.index("left_shoulder")
    away = []
    with np.load(shared / "pushup_videos" / "movenet17_xys.npz") as movenet:
        for n, name in enumerate(found.names):
            seen = found.confidence[found.frames(n), shoulder] > 0.5
            away.append(found.joints[found.frames(n), shoulder][seen] - movenet[name][seen, 5, :2])
    assert np.abs(np.median(np.concatenate(away), axis=0)).max() < 12  # of 640 x 360, two estimators
