"""`la2ds align`: the tables tell what belongs together, the film has a frame for each of A, errors are a line."""

import csv
import json
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import pipeline.extraction as extraction
from commands import align
from pipeline.checkpoint import new_network, save_network
from pipeline.clip import Clip
from pipeline.embedding import embed
from pipeline.estimators.base import People
from pipeline.figures import PHASE_COLORS
from pipeline.heatmap import RenderConfig
from pipeline.heatmap_store import write_heatmaps
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths
from pipeline.models.network import BranchSpec, ModelConfig
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.store import finish
from pipeline.video import frames, probe, write_video

SMALL = {"width": 32, "heads": 2, "head_width": 16, "mlp_width": 64, "spatial_depth": 1, "temporal_depth": 1}
SIZE, ABOUT = 64, np.linspace((-4, -6), (4, 6), 17)
LENGTHS = {"a": 12, "b": 24, "c": 16, "d": 10}
PARAMS = """
datasets:
  walks:
    preset: quick
    inputs: [[pose2d]]
    source: {reader: videos, root: raw, action: walk, estimator: {name: mediapipe}, val_fraction: 0.5}
project: {}
"""


class Blob:
    """Finds the bright square in each frame as one person whose joints lie about its middle."""

    name, version, weights, skeleton = "mediapipe", "1", "0" * 64, "coco_17"

    def start(self):
        pass

    def __call__(self, images):
        people = []
        for image in images:
            y, x = np.nonzero(image.mean(axis=2) > 128)
            found = (np.array((x.mean(), y.mean()) if len(x) else (0, 0)) + ABOUT).astype(np.float32)[None]
            people.append(People(found[: min(len(x), 1)], np.ones((min(len(x), 1), 17), dtype=np.float32)))
        return people


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A square that crosses four videos, each at its own pace, with a network and what it makes of them; `d` has lost its video."""
    monkeypatch.chdir(tmp_path)
    blob = Blob()
    for place in ("pipeline.extraction", "pipeline.newcomers"):
        monkeypatch.setattr(f"{place}.load_estimator", lambda config, root: blob)
    monkeypatch.setattr("commands.align_sides.Run", partial(extraction.Run, scheduler="synchronous"))
    extraction._loaded.cache_clear()
    clips = []
    for name, length in LENGTHS.items():
        places = 20 + np.linspace(0, 22, length).round().astype(int)
        images = np.full((length, SIZE, SIZE, 3), 20, dtype=np.uint8)
        for image, x in zip(images, places, strict=True):
            image[20:30, x - 5 : x + 5] = 235
        write_video(tmp_path / f"raw/{name}.mp4", images, 20)
        joints = np.stack([blob([image])[0].joints[0] for image in frames(tmp_path / f"raw/{name}.mp4")])
        event, video = (length // 2,), f"raw/{name}.mp4"
        split = "train" if name == "d" else "val"
        clips.append(Clip(name, "walk", split, joints, np.ones((length, 17)), 20.0, event, "", (SIZE, SIZE), "", video))
    (tmp_path / "raw/d.mp4").rename(tmp_path / "elsewhere.mp4")
    clips[2] = replace(clips[2], video_frames=np.arange(16) // 2)
    known = load_skeleton("coco_17")
    whole = from_clips(
        clips, dataset="walks", skeleton=known, event_names={"walk": ("half_way",)}, poses="estimated", labels="human"
    )
    paths = Paths(*(tmp_path / "data" / name / "walks" for name in ("poses", "heatmaps", "frames")))
    write_sequences(whole, paths.poses)
    write_heatmaps(whole, paths.poses, paths.heatmaps, RenderConfig(sigma_px=0.9, padding=0.1), "synchronous")
    sources = load_modalities(("pose2d",), paths.open(("pose2d",)))
    spec = BranchSpec(ModelConfig(patch_px=10, **SMALL), sources["pose2d"].shape)
    network = new_network({"pose2d": spec}, 30, seed=0)
    save_network(network, 0, tmp_path / "models/walk/la2ds/seed_0")
    finish(tmp_path / "models", tmp_path / "data/models/walks", {"poses": paths.poses})
    (tmp_path / "fused").mkdir()
    (tmp_path / "fused/loss.csv").write_text("")
    finish(tmp_path / "fused", tmp_path / "data/fused/walks")
    features = embed(network, whole.lengths, lambda n: (sources["pose2d"].original(n),))
    folder = tmp_path / "results/embeddings/walk/la2ds"
    folder.mkdir(parents=True)
    np.savez(folder / "seed_0.npz", features=np.concatenate(features), offsets=whole.offsets, names=whole.names)
    networks = {name: tmp_path / "data" / name / "walks" for name in ("models", "fused")}
    finish(tmp_path / "results", tmp_path / "data/results/walks", {"poses": paths.poses, **networks})
    (tmp_path / "params.yaml").write_text(PARAMS)
    yield tmp_path
    extraction._loaded.cache_clear()


def run(*arguments):
    return CliRunner().invoke(align.app, [str(argument) for argument in arguments])


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_film_and_picture_of_two_sequences(project):
    result = run("a", "b", "--out", "out")
    assert result.exit_code == 0, result.output
    assert "dataset=walks" in result.stdout and "method=dtw" in result.stdout
    rows = table(project / "out/alignment.csv")
    assert [int(row["frame_a"]) for row in rows] == list(range(12))
    partners = [int(row["frame_b"]) for row in rows]
    assert partners == sorted(partners) and partners[-1] <= 23
    assert [row["time_a_s"] for row in rows[:3]] == ["0.0", "0.05", "0.1"]
    assert all(float(row["time_b_s"]) == pytest.approx(int(row["frame_b"]) / 20) for row in rows)
    assert [row["phase_a"] for row in rows] == ["1"] * 6 + ["2"] * 6
    assert [row["phase_b"] for row in rows] == ["12"[partner >= 12] for partner in partners]
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows) and "video_frame_a" not in rows[0]
    whole = json.loads((project / "out/alignment.json").read_text())
    assert [one["frame_b"] for one in whole["frames"]] == partners
    assert [one["phase_a"] for one in whole["frames"]] == [1] * 6 + [2] * 6
    facts = whole["summary"]
    assert (facts["a"], facts["b"], facts["input"], facts["seed"], facts["fps_a"]) == ("a", "b", "pose2d", 0, 20)
    assert facts["event_error_percent"] == pytest.approx(100 * abs(partners[6] - 12) / 24, abs=1e-3)
    assert facts["event_error_by_clock_percent"] == pytest.approx(100 / 24, abs=1e-3)
    info = probe(project / "out/side_by_side.mp4")
    assert info.num_frames == 12 and info.fps == pytest.approx(20)
    film = list(frames(project / "out/side_by_side.mp4"))
    for image, color in ((film[2], PHASE_COLORS[0]), (film[9], PHASE_COLORS[1])):
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        panel = image[100:400]
        assert (np.abs(panel.astype(int) - rgb).max(axis=2) < 40).sum() > 100  # the skeleton, in its phase's colour
        assert (panel.max(axis=2) < 40).sum() > 10_000  # the dark footage under it
    assert cv2.imread("out/lines.png").shape[1] > 1000


def test_a_video_is_aligned_as_the_sequence_that_it_is(project):
    assert run("a", "b", "--out", "named").exit_code == 0
    result = run("raw/a.mp4", "raw/b.mp4", "--out", "files")
    assert result.exit_code == 0, result.output
    keys = ("frame_a", "frame_b", "time_a_s", "time_b_s")
    pick = [
        [[row[key] for key in keys] for row in table(project / f"{out}/alignment.csv")] for out in ("named", "files")
    ]
    assert pick[0] == pick[1]
    assert {row["phase_a"] for row in table(project / "files/alignment.csv")} == {""}
    mixed = run("a", "raw/b.mp4", "--out", "mixed")
    assert mixed.exit_code == 0 and "b=raw/b.mp4" in mixed.stdout, mixed.output


def test_one_with_all_others_is_sorted_by_distance(project):
    result = run("a", "--all", "--split", "both", "--out", "all", "--method", "nearest")
    assert result.exit_code == 0 and "the nearest first" in result.stdout, result.output
    pairs = json.loads((project / "all/alignment.json").read_text())["alignments"]
    distances = [pair["summary"]["mean_distance"] for pair in pairs]
    assert distances == sorted(distances) and {pair["summary"]["b"] for pair in pairs} == {"b", "c", "d"}
    rows = table(project / "all/alignment.csv")
    assert len(rows) == 36 and {row["b"] for row in rows} == {"b", "c", "d"}
    assert {row["video_frame_b"] for row in rows if row["b"] == "c"} <= {str(n) for n in range(8)}
    assert {row["video_frame_b"] for row in rows if row["b"] == "b"} == {""}
    assert not list((project / "all").rglob("*.mp4"))
    validation = run("a", "--all", "--out", "val")
    assert validation.exit_code == 0 and {row["b"] for row in table(project / "val/alignment.csv")} == {"b", "c"}


def test_a_folder_of_videos_with_films(project):
    (project / "new").mkdir()
    for name in ("b", "c"):
        (project / f"raw/{name}.mp4").rename(project / f"new/{name}.mp4")
    (project / "new/broken.mp4").write_bytes(b"no video")
    result = run("a", "new", "--out", "many", "--videos")
    assert result.exit_code == 0 and "left out new/broken.mp4" in result.stderr, result.output
    assert {row["b"] for row in table(project / "many/alignment.csv")} == {"new/b.mp4", "new/c.mp4"}
    for name in ("b", "c"):
        assert probe(project / f"many/new_{name}.mp4/side_by_side.mp4").num_frames == 12
        assert (project / f"many/new_{name}.mp4/lines.png").is_file()


def test_a_folder_of_which_one_video_is_left_is_still_several(project):
    (project / "new").mkdir()
    (project / "raw/b.mp4").rename(project / "new/b.mp4")
    (project / "new/broken.mp4").write_bytes(b"no video")
    assert run("a", "new", "--out", "many").exit_code == 0
    assert {row["b"] for row in table(project / "many/alignment.csv")} == {"new/b.mp4"}
    assert len(json.loads((project / "many/alignment.json").read_text())["alignments"]) == 1


def test_without_footage_skeletons_stand_on_white(project):
    result = run("d", "a", "--out", "white", "--method", "nearest")
    assert result.exit_code == 0 and "raw/d.mp4 is gone" in result.stderr, result.output
    film = list(frames(project / "white/side_by_side.mp4"))
    assert len(film) == 10
    left, right = film[5][100:400, :640], film[5][100:400, 640:]
    assert (left.min(axis=2) > 240).mean() > 0.5 and (right.max(axis=2) < 40).mean() > 0.1


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["a"], ["B, or --all", "neither"]),
        (["a", "b", "--all"], ["both"]),
        (["a", "bb"], ["'bb'", "walks", "Nearest", "b"]),
        (["a", "b", "--method", "warp"], ["'warp'", "dtw"]),
        (["a", "b", "--input", "rgb"], ["'rgb'", "pose2d"]),
        (["a", "b", "--seed", "7"], ["7", "[0]"]),
        (["a", "b", "--dataset", "other"], ["other", "walks"]),
        (["a", "--all", "--split", "test"], ["'test'", "val"]),
        (["a", "data"], ["Expected videos", "data"]),
        (["a", "raw/broken.mp4"], ["broken.mp4"]),
    ],
)
def test_what_cannot_be_aligned_is_said_in_a_line(project, arguments, parts):
    (project / "raw/broken.mp4").write_bytes(b"no video")
    result = run(*arguments)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert result.exit_code == 1 and len(errors) == 1, result.output
    assert all(part in errors[0] for part in parts), errors


def test_videos_need_an_estimator_of_the_same_skeleton(project, monkeypatch):
    text = PARAMS.replace("reader: videos", "reader: openpose").replace("estimator: {name: mediapipe}, ", "")
    (project / "params.yaml").write_text(text)
    result = run("a", "raw/b.mp4")
    assert result.exit_code == 1 and "--estimator mediapipe" in result.stderr, result.output
    assert run("a", "raw/b.mp4", "--estimator", "mediapipe", "--out", "out").exit_code == 0
    monkeypatch.setattr(Blob, "skeleton", "penn_13")
    monkeypatch.setattr("pipeline.newcomers.load_skeleton", lambda name: load_skeleton("body_25"))
    result = run("a", "raw/b.mp4", "--estimator", "mediapipe")
    assert result.exit_code == 1 and "error" in result.stderr
