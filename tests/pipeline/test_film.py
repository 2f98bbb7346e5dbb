"""Filmed studio people: what is annotated is what is to be seen."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.datasets.events import read_events
from pipeline.datasets.joints3d import Joints3DConfig, read
from pipeline.film import FilmConfig, takes, write_film
from pipeline.progress import progress_bar
from pipeline.scene import Camera
from pipeline.shaded_person import INDEX, draw_look, figure, paint, seen
from pipeline.video import write_video

ROOT = Path(__file__).resolve().parents[2] / "data" / "raw" / "studio"
ACTIONS = ("golf_swing", "squat")
CONFIG = FilmConfig(root=ROOT, actions=list(ACTIONS), train_videos=1, val_videos=2, size_px=128, fps=10, seed=3)
STANDING = {  # in the performer's axes: x to his left, y up, z ahead
    "nose": (0, 1.6, 0.12), "eye": (0.036, 1.63, 0.09), "ear": (0.084, 1.6, 0), "shoulder": (0.2, 1.4, 0),
    "elbow": (0.35, 1.2, 0), "wrist": (0.5, 1.0, 0), "hip": (0.12, 0.85, 0), "knee": (0.13, 0.43, 0), "ankle": (0.14, 0, 0),
}  # fmt: skip


def film(out: Path, **changes) -> dict[str, int]:
    with progress_bar("frames") as progress:
        return write_film(CONFIG.model_copy(update=changes), out, progress)


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film"
    film(path)
    return path


@pytest.fixture(scope="module")
def keypoints(out: Path) -> dict[str, np.ndarray]:
    """Image name -> (K, 3) of x, y, visibility."""
    coco = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    return {names[row["image_id"]]: np.reshape(row["keypoints"], (-1, 3)) for row in coco["annotations"]}


def test_same_seed_same_bytes_even_after_a_kill_and_another_seed_another_film(out, tmp_path, monkeypatch):
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_video(*arguments)

    monkeypatch.setattr("pipeline.film.write_video", killed)
    with pytest.raises(KeyboardInterrupt):
        film(tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert film(tmp_path / "again")["videos_resumed"] == 2
    assert content(tmp_path / "again") == content(out)
    film(tmp_path / "other", seed=4, actions=["squat"])
    videos = [content(folder)["manifest.json"] for folder in (tmp_path / "other", out)]
    assert videos[0] != videos[1]


def test_every_frame_is_annotated_and_the_side_files_agree_with_the_videos(out, keypoints):
    videos = sorted(out.glob("videos/*/*/*.mp4"))
    frames = {path.stem: len(decode(path)) for path in videos}
    assert len(videos) == len(ACTIONS) * 3
    assert sorted(keypoints) == sorted(f"{stem}/{n:06d}" for stem, count in frames.items() for n in range(count))
    rows = read_events(out / "events.csv", action_column="action")
    assert {name: row.num_frames for name, row in rows.items()} == {
        stem.split("__")[1]: count for stem, count in frames.items()
    }
    config = Joints3DConfig(
        root=out,
        skeleton="coco_17",
        format="npz",
        pattern=r"joints3d/(?P<action>.+)_(?P<split>train|val)\.npz",
        group_key="groups",
        events={"path": "events.csv", "action": "action"},
        up="y",
        right="x",
    )
    sequences = read(config, "film")
    assert dict(zip(sequences.names, sequences.lengths.tolist(), strict=True)) == {
        name: row.num_frames for name, row in rows.items()
    }
    for path in videos:
        n = sequences.names.index(path.stem.split("__")[1])
        assert path.parts[-3:-1] == (sequences.actions[n], sequences.splits[n])
        assert path.stem.split("__")[0] == sequences.groups[n]
    train, val = (
        {g for g, s in zip(sequences.groups, sequences.splits, strict=True) if s == split} for split in ("train", "val")
    )
    assert not train & val


def test_pixels_are_a_perspective_picture_of_the_3d_joints_and_lie_in_the_frame(out, keypoints):
    for path in out.glob("joints3d/*.npz"):
        clips = np.load(path)
        for name, group, start, stop in zip(
            clips["names"], clips["groups"], clips["offsets"], clips["offsets"][1:], strict=False
        ):
            joints = clips["positions"][start:stop].astype(float).reshape(-1, 3)
            pixels = np.concatenate([keypoints[f"{group}__{name}/{frame:06d}"] for frame in range(stop - start)])
            slopes = joints[:, :2] / -joints[:, 2:]
            for axis, sign in ((0, 1), (1, -1)):  # pixel = centre +- focal length * slope, and nothing else
                design = np.column_stack([sign * slopes[:, axis], np.ones(len(slopes))])
                (focal, _), *_ = np.linalg.lstsq(design, pixels[:, axis], rcond=None)
                residual = pixels[:, axis] - design @ np.linalg.lstsq(design, pixels[:, axis], rcond=None)[0]
                assert focal > 0 and np.abs(residual).max() < 0.005
            assert pixels[:, :2].min() > 0 and pixels[:, :2].max() < CONFIG.size_px - 1


def test_a_visible_joint_is_not_the_background_and_a_place_outside_the_box_is(out, keypoints):
    coco = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    boxes = {image["file_name"]: row["bbox"] for image, row in zip(coco["images"], coco["annotations"], strict=True)}
    at_joints, outside = [], []
    for take in takes(CONFIG):
        frames = decode(out / take.path).astype(float)
        empty = take.background * take.brightness
        for number, frame in enumerate(frames):
            difference = np.abs(frame - empty).max(axis=2)
            x, y, visible = keypoints[f"{take.stem}/{number:06d}"].T
            rows, columns = np.rint([y, x]).astype(int)
            at_joints.append(difference[rows, columns][visible == 2])
            left, top, width, _ = boxes[f"{take.stem}/{number:06d}"]
            away = np.ones(difference.shape, dtype=bool)
            away[max(0, int(top) - 8) :, max(0, int(left) - 40) : int(left + width) + 40] = False  # the shadow, too
            outside.append(difference[away])
    assert (np.concatenate(at_joints) > 30).mean() > 0.85
    assert (np.concatenate(outside) > 30).mean() < 0.02


def standing(azimuth_deg: float) -> tuple[np.ndarray, Camera]:
    joints = np.array(
        [np.array(STANDING[name.split("_")[-1]]) * [-1 if name.startswith("right") else 1, 1, 1] for name in INDEX]
    )
    turn = np.radians(azimuth_deg)
    axes = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    camera = Camera(axes, 4.0, 400.0, np.array([128.0, 128.0]))
    return camera.see(joints), camera


@pytest.mark.parametrize(("azimuth_deg", "nose", "left_is_right"), [(0, True, True), (180, False, False)])
def test_left_and_right_can_be_told_by_the_face(azimuth_deg, nose, left_is_right):
    joints, camera = standing(azimuth_deg)
    pixels = camera.project(joints)
    parts = figure(joints, camera, draw_look(np.random.default_rng(0)))
    visible = seen(parts, pixels)
    assert (pixels[INDEX["left_wrist"], 0] > pixels[INDEX["right_wrist"], 0]) == left_is_right
    assert [visible[INDEX[name]] for name in ("nose", "left_eye", "right_eye")] == [nose] * 3
    assert all(visible[INDEX[f"{side}_{name}"]] for side in ("left", "right") for name in ("wrist", "knee", "hip"))


def test_front_and_back_look_different_and_a_near_arm_hides_what_is_behind_it():
    look, grey, light = (
        draw_look(np.random.default_rng(1)),
        np.full((256, 256, 3), 128, np.uint8),
        np.array([0.0, -1.0]),
    )
    front, back = (paint(grey, figure(joints, camera, look), light) for joints, camera in map(standing, (0, 180)))
    changed = np.abs(front.astype(int) - back[:, ::-1]).max(axis=2) > 40
    assert changed[45:75].sum() > 60  # the face
    joints, camera = standing(90)  # from the side: the arm and leg that are near are in front of the others
    visible = seen(figure(joints, camera, look), camera.project(joints))
    near, far = ("left", "right") if joints[INDEX["left_hip"], 2] > joints[INDEX["right_hip"], 2] else ("right", "left")
    assert all(visible[INDEX[f"{near}_{name}"]] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "eye", "ear"))
    assert not any(visible[INDEX[f"{far}_{name}"]] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ear"))
