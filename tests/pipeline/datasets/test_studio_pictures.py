"""Pictures of studio people: they lie under the poses, and are the same whoever draws them."""

import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.crop import crop_box, to_grid
from pipeline.datasets import studio_pictures as module
from pipeline.datasets.studio import StudioConfig, read
from pipeline.datasets.studio_pictures import StudioPictures, studio_pictures
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import PoseSequences
from pipeline.shaded_person import INDEX, figure

ROOT = Path(__file__).resolve().parents[3] / "data" / "raw" / "studio"
ACTIONS = ["golf_swing", "jumping_jack", "squat"]
CONFIG = StudioConfig(root=ROOT, actions=ACTIONS, train_videos=1, val_videos=2, fps=10, seed=3)
FRAME = np.array([0, 0, 256, 256], np.float32)
BEYOND = np.array([-256, -256, 768, 768], np.float32)


def poses(config: StudioConfig = CONFIG, **view) -> PoseSequences:
    return project(read(config, "studio"), ProjectConfig(**view))


@pytest.fixture(scope="module")
def sequences() -> PoseSequences:
    return poses()


@pytest.fixture(scope="module")
def pictures(sequences: PoseSequences) -> StudioPictures:
    return studio_pictures(CONFIG, sequences)


def box_of(sequences: PoseSequences, n: int) -> np.ndarray:
    return crop_box(sequences.joints[sequences.frames(n)], sequences.confidence[sequences.frames(n)], padding=0.1)


def drawn_by(monkeypatch, kept, pictures: StudioPictures, *arguments) -> np.ndarray:
    """(T, S, S) grey levels by which the parts that `kept(part, look)` names change the pictures of the empty room."""

    def parts_of(joints, camera, look):
        return [part for part in figure(joints, camera, look) if kept(part, look)]

    with monkeypatch.context() as patch:
        patch.setattr(module, "figure", parts_of)
        shown = pictures.crops(*arguments)
        patch.setattr(module, "figure", lambda *_: [])
        return np.abs(shown.astype(int) - pictures.crops(*arguments)).max(axis=3)


def to_limbs(uv: np.ndarray, size_px: int) -> np.ndarray:
    """(S, S) distance of each pixel from the nearest limb or joint of one frame, uv (K, 2)."""
    pixels = np.stack(np.meshgrid(np.arange(size_px), np.arange(size_px)), axis=-1).astype(float)
    trunk = [("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"), ("nose", "left_shoulder")]
    pairs = [(INDEX[a], INDEX[b]) for a, b in trunk]
    for joint in ("elbow", "knee"):
        ends = ("shoulder", "wrist") if joint == "elbow" else ("hip", "ankle")
        pairs += [(INDEX[f"{side}_{joint}"], INDEX[f"{side}_{end}"]) for side in ("left", "right") for end in ends]
    distances = []
    for a, b in pairs:
        along = uv[b] - uv[a]
        share = np.clip((pixels - uv[a]) @ along / (along @ along), 0, 1)
        distances.append(np.linalg.norm(pixels - uv[a] - share[..., None] * along, axis=-1))
    return np.min(distances, axis=0)


@pytest.mark.parametrize("view", [{}, {"azimuth_deg": 70, "elevation_deg": 25}])
def test_the_person_is_where_the_poses_are_and_nowhere_else(view, monkeypatch):
    sequences, size_px = poses(CONFIG, **view), 96
    pictures = studio_pictures(CONFIG, sequences)
    at_joints, outside = [], []
    for n in range(len(sequences)):
        box = box_of(sequences, n)
        levels = drawn_by(monkeypatch, lambda *_: True, pictures, n, slice(0, None, 4), box, size_px)
        per_metre = pictures.cameras[n].focal_px / module.FAR_M * size_px / box[2:].min()
        uv = to_grid(sequences.joints[sequences.frames(n)][::4], box, size_px)
        visible = sequences.confidence[sequences.frames(n)][::4] > 0
        for shown, joints, seen in zip(levels, uv, visible, strict=True):
            columns, rows = np.rint(joints[seen]).astype(int).T
            at_joints.append(shown[rows, columns] > 8)
            if seen.all():
                outside.append(shown[to_limbs(joints, size_px) > 0.25 * per_metre] > 8)
    assert len(outside) > 20
    assert np.concatenate(at_joints).mean() > 0.95
    assert np.concatenate(outside).mean() < 0.002


@pytest.mark.parametrize("name", ["left_wrist", "right_wrist"])
def test_a_wristband_is_at_its_wrist_in_a_crop_that_is_stretched(name, monkeypatch):
    config = CONFIG.model_copy(update={"noise_m": 0.0, "missing": 0.0})
    sequences, size_px = poses(config), 112
    pictures = studio_pictures(config, sequences)

    def is_band(part, look) -> bool:
        return part.joints == (INDEX[name],) and part.colour is look.wristbands

    for n in range(len(sequences)):
        box = box_of(sequences, n)
        bands = drawn_by(monkeypatch, is_band, pictures, n, slice(None), box, size_px) > 8
        centres = np.array([np.argwhere(band).mean(axis=0)[::-1] for band in bands])
        uv = to_grid(sequences.joints[sequences.frames(n), INDEX[name]], box, size_px)
        off = (centres - uv) * box[2:] / size_px  # in pixels of the frame
        assert np.abs(off).max() < 1.5 and np.abs(off.mean(axis=0)).max() < 0.5


def test_a_picture_does_not_depend_on_what_else_is_drawn_or_who_draws_it(sequences, pictures):
    again = pickle.loads(pickle.dumps(studio_pictures(CONFIG, sequences)))
    for n in (0, 4):
        box = box_of(sequences, n)
        whole = pictures.crops(n, slice(None), box, 48)
        assert whole.shape == (sequences.lengths[n], 48, 48, 3) and whole.dtype == np.uint8
        np.testing.assert_array_equal(again.crops(n, slice(5, 17), box, 48), whole[5:17])
        np.testing.assert_array_equal(again.crops(n, slice(16, None), box, 48), whole[16:])


def test_no_noise_repeats_and_no_two_sequences_share_a_room(sequences, pictures, monkeypatch):
    monkeypatch.setattr(module, "figure", lambda *_: [])
    rooms = [pictures.crops(n, slice(2), FRAME, 48)[:, :24].astype(float) for n in range(len(sequences))]
    for room in rooms:
        assert 0.5 < np.abs(room[0] - room[1]).mean() < 15
    for a, b in combinations(rooms, 2):
        assert np.abs(a[0] - b[0]).mean() > 15


def test_a_box_that_reaches_beyond_the_frame_shows_more_of_the_same_scene(sequences, pictures, monkeypatch):
    monkeypatch.setattr(module, "NOISE", 0.0)
    for n in range(len(sequences)):
        inner = pictures.crops(n, slice(1), FRAME, 64)[0].astype(int)
        outer = pictures.crops(n, slice(1), BEYOND, 192)[0].astype(int)
        np.testing.assert_allclose(outer[66:126, 66:126], inner[2:62, 2:62], atol=1)
        steps = np.abs(np.diff(outer, axis=1)).mean(axis=(0, 2))
        assert max(steps[63], steps[127]) < 25  # no border is to be seen at the edges of the frame
        assert (outer.max(axis=2) == 0).mean() < 0.01


@pytest.mark.parametrize(
    ("config", "view", "message"),
    [
        (CONFIG, {"normalise": "casa"}, "project.normalise"),
        (CONFIG.model_copy(update={"seed": 4}), {}, "extract and project again"),
        (CONFIG.model_copy(update={"actions": ["jumping_jack"]}), {"normalise": "casa"}, "project.normalise"),
    ],
)
def test_poses_that_are_no_view_of_the_performances_are_refused(config, view, message):
    with pytest.raises(InputError, match=message):
        studio_pictures(CONFIG, poses(config, **view))
