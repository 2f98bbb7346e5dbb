"""`la2ds show`: the pictures hold what they should, where it should be, in the colours that the legend gives."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from commands import show
from pipeline.clip import Clip
from pipeline.contact_sheet import LEFT, MIDDLE, RIGHT, contact_sheet, film, heatmap_image, side_colors, take
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import HeatmapStore, write_heatmaps
from pipeline.sequence import from_clips, read_sequences, write_sequences
from pipeline.skeleton import load_skeleton, skeleton_from_dict
from pipeline.video import frames, probe, write_video

SIZE = (64, 48)
SKELETON = skeleton_from_dict(
    {"name": "arms", "joints": ["head", "left", "right"], "limbs": [[0, 1], [0, 2], [1, 2]], "pairs": [[1, 2]]}, "test"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Four sequences of 12 frames with heatmaps; `one` shows every second frame of a video, `two` has lost its video."""
    monkeypatch.chdir(tmp_path)
    video = [np.full((*SIZE[::-1], 3), (200, 10 * t, 0), dtype=np.uint8) for t in range(24)]
    write_video(tmp_path / "one.mp4", video, 25)
    joints = np.tile([[32.0, 10], [50, 40], [14, 40]], (12, 1, 1))
    confidence = np.ones((12, 3))
    confidence[5] = 0
    clips = [
        Clip("one", "wave", "train", joints, confidence, 12.5, (4,), "", SIZE, "", "one.mp4", np.arange(0, 24, 2)),
        Clip("two", "wave", "train", joints, confidence, 12.5, (), "", SIZE, "", "gone.mp4"),
        *(Clip(f"day/{n}", "wave", "val", joints, confidence, 12.5) for n in (3, 4)),
    ]
    names = {"wave": ("up",)}
    sequences = from_clips(
        clips, dataset="waves", skeleton=SKELETON, event_names=names, poses="estimated", labels="human"
    )
    write_sequences(sequences, tmp_path / "data/poses/waves")
    write_heatmaps(
        sequences, tmp_path / "data/poses/waves", tmp_path / "data/heatmaps/waves", RenderConfig(), "synchronous"
    )
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(show.app, [str(argument) for argument in arguments])


def near(picture, color, tolerance=24):
    """Number of pixels of about this colour."""
    return int((np.abs(picture[..., :3].astype(int) - color).max(axis=2) <= tolerance).sum())


def test_a_sheet_shows_the_video_under_the_skeleton_and_the_same_bytes_again(project):
    result = run("waves", "one", "--frames", 4)
    assert result.exit_code == 0, result.output
    assert "one.png" in result.stdout and "frames=4" in result.stdout
    assert "video=yes" in result.stdout and "heatmaps=yes" in result.stdout
    picture = cv2.imread("one.png", cv2.IMREAD_COLOR_RGB)
    for t in (0, 8, 14, 22):  # video frames of rows 0, 4, 7 and 11
        assert near(picture, (200, 10 * t, 0)) > 1000
    assert near(picture, (200, 50, 0), 8) == 0
    first = (project / "one.png").read_bytes()
    assert run("waves", "one", "--frames", 4).exit_code == 0
    assert (project / "one.png").read_bytes() == first


@pytest.mark.parametrize(
    "sequence, out, warning", [("two", "two.png", "gone.mp4"), ("day/3", "day_3.png", ""), ("one", "sub/a.png", "")]
)
def test_without_a_video_the_ground_is_white(project, sequence, out, warning):
    where = ["--out", out] if "sub" in out else []
    result = run("waves", sequence, *where)
    assert result.exit_code == 0 and (project / out).is_file(), result.output
    assert ("video=yes" in result.stdout) == (sequence == "one")
    assert warning in result.stderr and ("WARNING" in result.stderr) == bool(warning)


def test_a_film_has_every_frame_at_the_poses_rate(project):
    result = run("waves", "one", "--out", "one.mp4")
    assert result.exit_code == 0 and "frames=12" in result.stdout, result.output
    info = probe(project / "one.mp4")
    assert info.num_frames == 12 and info.fps == pytest.approx(12.5)
    shown = list(frames(project / "one.mp4"))
    for row in (0, 6, 11):
        assert near(shown[row], (200, 20 * row, 0)) > 1000


def test_heatmaps_of_other_poses_are_not_shown(project):
    sequences = read_sequences(project / "data/poses/waves")
    write_sequences(replace(sequences, joints=sequences.joints + 1), project / "data/poses/waves")
    result = run("waves", "one")
    assert result.exit_code == 0 and "heatmaps=no" in result.stdout and "made from other poses" in result.stderr


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["waves", "on"], ["'on'", "one", "of 4"]),
        (["wave", "one"], ["'wave'", "waves"]),
        (["waves", "one", "--out", "one.gif"], [".png or .mp4", "one.gif"]),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(project, arguments, parts):
    result = run(*arguments)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert all(part in result.stderr for part in parts), result.stderr


def test_3d_poses_are_shown_as_they_are_projected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    joints = np.random.default_rng(0).normal(size=(8, 17, 3))
    clips = [Clip(str(n), "wave", "val" if n else "train", joints, np.ones((8, 17)), 30.0) for n in range(3)]
    sequences = from_clips(
        clips, dataset="w", skeleton=load_skeleton("coco_17"), event_names={}, poses="motion_capture", labels="none"
    )
    write_sequences(sequences, tmp_path / "data/extracted/w")
    result = run("w", "0")
    assert result.exit_code == 0 and "heatmaps=no" in result.stdout, result.output


def test_left_and_right_have_their_colours_and_low_confidence_is_faint(project):
    assert side_colors(SKELETON) == ([MIDDLE, LEFT, RIGHT], [LEFT, RIGHT, MIDDLE])
    shown = take(read_sequences(project / "data/poses/waves"), 2)
    sure = next(iter(film(shown)))
    unsure = next(iter(film(replace(shown, confidence=shown.confidence * np.float32(0.1)))))
    for color in (LEFT, RIGHT, MIDDLE):
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert near(sure, rgb) > near(unsure, rgb) + 200
    height, width = sure.shape[:2]
    red = np.argwhere((np.abs(sure.astype(int) - [0xEE, 0x66, 0x77]).max(axis=2) < 24)[: height * 4 // 5])
    assert red[:, 1].mean() > width / 2  # the left hand is at x = 50 of 64


def test_a_caption_tells_frame_time_video_frame_and_phase_and_a_frame_with_nobody(project):
    shown = take(read_sequences(project / "data/poses/waves"), 0)
    figure = contact_sheet(shown, [0, 5])
    first, second = figure.axes[:2]
    assert (first.get_title(), second.get_title()) == ("frame 0, 0.00 s", "frame 5, 0.40 s\nvideo frame 10")
    assert (first.get_xlabel(), second.get_xlabel()) == ("phase 1", "phase 2: from up")
    assert [text.get_text() for text in second.texts] == ["nobody found"] and not first.texts
    assert "waves / one" in figure.get_suptitle() and "train" in figure.get_suptitle()


@pytest.mark.parametrize("channels", ["joints", "limbs", "joints+limbs"])
def test_heatmaps_are_drawn_where_the_poses_are(project, channels):
    sequences, path = read_sequences(project / "data/poses/waves"), project / "data/poses/waves"
    write_heatmaps(sequences, path, project / "h", RenderConfig(channels=channels), "synchronous")
    store = HeatmapStore(project / "h")
    picture = heatmap_image(store.frames(slice(0, 1))[0], channels, 3)
    orange, blue = picture[..., 0] > 0.5, picture[..., 2] > 0.5
    assert orange.any() == ("joints" in channels) and blue.any() == ("limbs" in channels)
    shown = replace(take(sequences, 0), heatmaps=store.frames(slice(0, 12)), channels=channels, box=store.boxes[0])
    drawn = contact_sheet(shown, [0]).axes[1].images[0]
    left, right, bottom, top = drawn.get_extent()
    for x, y in sequences.joints[0]:
        row = int((y - top) / (bottom - top) * 30)
        column = int((x - left) / (right - left) * 30)
        assert picture[row, column].max() > 0.3
    assert heatmap_image(store.frames(slice(5, 6))[0], channels, 3).max() == 0
