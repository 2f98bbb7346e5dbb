import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import heatmap_store, shards
from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.crop import crop_box, to_grid
from pipeline.heatmap import RenderConfig, grid_sigma, render
from pipeline.heatmap_store import HeatmapStore, write_heatmaps
from pipeline.sequence import from_clips, read_sequences, write_sequences
from pipeline.skeleton import skeleton_from_dict
from pipeline.store import partial_path

CONFIG = RenderConfig(size_px=16)
SKELETON = skeleton_from_dict({"name": "chain", "joints": ["a", "b", "c"], "limbs": [[0, 1], [1, 2]]}, "test")


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A pose store of 290 frames, which is five shards; the third shard shows no joint at all."""
    monkeypatch.setattr(heatmap_store, "FRAMES_PER_SHARD", 64)
    rng = np.random.default_rng(0)
    clips = []
    for n, num_frames in enumerate([70, 200, 20]):
        joints = rng.uniform(0, 50 + 100 * n, (num_frames, 3, 2)) + 30 * n
        confidence = rng.choice([0, 0.5, 1], (num_frames, 3), p=[0.2, 0.3, 0.5])
        if n == 1:
            confidence[20:160] = 0
        clips.append(Clip(str(n), "wave", "val" if n else "train", joints, confidence, fps=30.0))
    sequences = from_clips(clips, dataset="waves", skeleton=SKELETON, event_names={}, poses="annotated", labels="none")
    write_sequences(sequences, tmp_path / "poses")
    return tmp_path / "poses"


@pytest.fixture
def written(source, tmp_path) -> Path:
    write_heatmaps(read_sequences(source), source, tmp_path / "written", CONFIG, scheduler="synchronous")
    return tmp_path / "written"


def content(root: Path) -> dict[str, bytes]:
    """All files below a folder, by their paths."""
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        RenderConfig(size_px=30, sigma_px=4, sigma_space="frame", channels="limbs"),
        RenderConfig(size_px=20, channels="joints", padding=0.2, keep_aspect=True),
    ],
)
def test_a_store_holds_each_sequence_drawn_in_its_own_box(source, tmp_path, config, capfd):
    sequences = read_sequences(source)
    summary = write_heatmaps(sequences, source, tmp_path / "heatmaps", config)
    store = HeatmapStore(tmp_path / "heatmaps")
    assert store.config == config
    assert (summary.num_frames, summary.num_shards, summary.shards_resumed) == (290, 5, 0)
    assert (store.num_frames, store.num_channels) == (290, summary.num_channels)
    assert summary.missing_joints == (sequences.confidence == 0).sum()
    assert summary.num_bytes == sum(map(len, content(tmp_path / "heatmaps").values()))
    for n in range(len(sequences)):
        frames = sequences.frames(n)
        joints, confidence = sequences.joints[frames], sequences.confidence[frames]
        box = crop_box(joints, confidence, config.padding, config.keep_aspect)
        uv, sigma = to_grid(joints, box, config.size_px), grid_sigma(box, config)
        expected = render(uv, confidence, SKELETON.limb_index, sigma, config.size_px, config.channels)
        np.testing.assert_array_equal(store.boxes[n], box)
        np.testing.assert_array_equal(store.frames(frames), expected)
    np.testing.assert_array_equal(store.frames(range(60, 200, 7)), store.frames(slice(0, 290))[60:200:7])
    assert capfd.readouterr().err == ""


def test_every_scheduler_writes_the_same_bytes(written, source, tmp_path):
    for scheduler in ("threads", "processes"):
        write_heatmaps(read_sequences(source), source, tmp_path / scheduler, CONFIG, scheduler=scheduler, workers=2)
        assert content(tmp_path / scheduler) == content(written)


def fail_at(monkeypatch, name: str, call: int) -> None:
    """Let the given call of a function that the module uses raise instead."""
    original = getattr(heatmap_store, name)
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(heatmap_store, name, failing)


@pytest.mark.parametrize(
    ("name", "call", "resumed"),
    [
        ("_create", 1, 0),
        ("render", 1, 0),
        ("render", 3, 2),
        ("render", 5, 4),
        ("finish", 1, 0),
    ],
)
def test_an_interrupted_run_is_taken_up_and_ends_in_the_same_bytes(
    written, source, tmp_path, monkeypatch, name, call, resumed
):
    sequences, path = read_sequences(source), tmp_path / "heatmaps"
    with monkeypatch.context() as patch:
        fail_at(patch, name, call)
        with pytest.raises(KeyboardInterrupt):
            write_heatmaps(sequences, source, path, CONFIG, scheduler="synchronous")
    assert not path.exists()
    assert write_heatmaps(sequences, source, path, CONFIG).shards_resumed == resumed
    assert content(path) == content(written)
    assert not partial_path(path).exists()


def test_half_a_shard_and_forgotten_temporary_files_do_not_survive(written, source, tmp_path, monkeypatch):
    sequences, path = read_sequences(source), tmp_path / "heatmaps"
    with monkeypatch.context() as patch:
        fail_at(patch, "render", 2)
        with pytest.raises(KeyboardInterrupt):
            write_heatmaps(sequences, source, path, CONFIG, scheduler="synchronous")
    partial = partial_path(path)
    finished = {int(marker.name) // 64 for marker in (partial / shards.DONE).iterdir()}
    for shard in {0, 1, 2, 3, 4} - finished:
        folder = Path("heatmaps", "c", str(shard), "0", "0")
        whole = (written / folder / "0").read_bytes()
        (partial / folder).mkdir(parents=True, exist_ok=True)
        (partial / folder / "0").write_bytes(whole[: len(whole) // 2])
        (partial / folder / "0.0123abcd.partial").write_bytes(b"cut off")
    assert write_heatmaps(sequences, source, path, CONFIG).shards_resumed == 1
    assert content(path) == content(written)


def test_an_unfinished_store_of_other_settings_is_not_taken_up(written, source, tmp_path, monkeypatch):
    sequences, path = read_sequences(source), tmp_path / "heatmaps"
    with monkeypatch.context() as patch:
        fail_at(patch, "render", 4)
        with pytest.raises(KeyboardInterrupt):
            write_heatmaps(sequences, source, path, RenderConfig(size_px=16, sigma_px=2), scheduler="synchronous")
    assert write_heatmaps(sequences, source, path, CONFIG).shards_resumed == 0
    assert content(path) == content(written)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline import heatmap_store, shards
from pipeline.heatmap import RenderConfig
from pipeline.sequence import read_sequences

replace, shards = Path.replace, []

def dying(self, target):
    if "/heatmaps.partial/heatmaps/c/" in str(target):
        shards.append(target)
    if len(shards) == 4:
        os.kill(os.getpid(), signal.SIGKILL)  # the fourth shard lies beside its place, under a temporary name
    return replace(self, target)

Path.replace = dying
heatmap_store.FRAMES_PER_SHARD = 64
source = Path(sys.argv[1])
config = RenderConfig(size_px=16)
heatmap_store.write_heatmaps(read_sequences(source), source, Path(sys.argv[2]), config, scheduler="synchronous")
"""


def test_a_killed_run_is_taken_up_and_ends_in_the_same_bytes(written, source, tmp_path):
    path = tmp_path / "heatmaps"
    environment = {**os.environ, "PYTHONPATH": str(Path(heatmap_store.__file__).parents[1])}
    killed = subprocess.run([sys.executable, "-c", KILLED, source, path], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(partial_path(path).rglob("*.partial")), "the temporary file that this test is about"
    assert write_heatmaps(read_sequences(source), source, path, CONFIG).shards_resumed == 3
    assert content(path) == content(written)


@pytest.mark.parametrize("shard", [0, 2])
def test_a_truncated_or_missing_shard_is_an_error_on_opening(written, shard):
    file = written / "heatmaps" / "c" / str(shard) / "0" / "0" / "0"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=rf"{file} \(truncated store\)"):
        HeatmapStore(written)
    file.unlink()
    with pytest.raises(InputError, match="it is missing"):
        HeatmapStore(written)


@pytest.mark.parametrize("where", [20, 1000, -5, -12], ids=["early", "late", "index checksum", "index"])
def test_damaged_content_is_an_error_on_reading_it(written, where):
    file = written / "heatmaps" / "c" / "1" / "0" / "0" / "0"
    damaged = bytearray(file.read_bytes())
    damaged[where : where + 4] = bytes(255 - byte for byte in damaged[where : where + 4])
    file.write_bytes(damaged)
    store = HeatmapStore(written)
    store.frames(range(0, 64))
    with pytest.raises(InputError, match=rf"in {written}, frames 60 to 70\. Delete the store") as error:
        store.frames(slice(60, 70))
    assert "\n" not in str(error.value)


def test_another_store_and_poses_in_3d_are_refused(source, tmp_path):
    with pytest.raises(InputError, match="Expected a heatmaps store, but got 'poses'"):
        HeatmapStore(source)
    sequences = read_sequences(source)
    spatial = np.concatenate([sequences.joints, sequences.joints[..., :1]], axis=2)
    object.__setattr__(sequences, "joints", spatial)
    with pytest.raises(InputError, match="Expected 2D poses, but got 3D"):
        write_heatmaps(sequences, source, tmp_path / "heatmaps", CONFIG)
