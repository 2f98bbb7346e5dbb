from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline import frame_store, shards
from pipeline.config import InputError
from pipeline.frame_store import FrameStore, write_frames, write_unused
from pipeline.frames import FramesConfig, VideoPictures
from pipeline.sequence import Clip, from_clips, read_sequences, write_sequences
from pipeline.skeleton import skeleton_from_dict
from pipeline.store import partial_path
from pipeline.video import write_video

SKELETON = skeleton_from_dict({"name": "pair", "joints": ["a", "b"], "limbs": [[0, 1]]}, "test")
LENGTHS = [70, 200, 20]
BOXES = np.tile(np.array([0, 0, 10, 10], np.float32), (3, 1))
CONFIG = FramesConfig(size_px=16)


@dataclass(frozen=True)
class Made:
    """Pictures that say sequence and frame; `fails` raises at that sequence."""

    fails: int | None = None
    stamp: tuple = ()

    def crops(self, n: int, frames: slice, box: np.ndarray, size_px: int) -> np.ndarray:
        if n == self.fails:
            raise KeyboardInterrupt
        return made(n, size_px)[frames]


def made(n: int, size_px: int = 16) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (LENGTHS[n], size_px, size_px, 3), dtype=np.uint8)


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A pose store of 290 frames, which is five shards."""
    monkeypatch.setattr(frame_store, "FRAMES_PER_SHARD", 64)
    monkeypatch.setattr(frame_store, "FRAMES_PER_CHUNK", 16)
    clips = [
        Clip(str(n), "wave", "val" if n else "train", np.ones((length, 2, 2)), np.ones((length, 2)), fps=30.0)
        for n, length in enumerate(LENGTHS)
    ]
    sequences = from_clips(clips, dataset="waves", skeleton=SKELETON, event_names={}, poses="annotated", labels="none")
    write_sequences(sequences, tmp_path / "poses")
    return tmp_path / "poses"


def write(source, path, pictures=None, scheduler="synchronous"):
    pictures = pictures or Made()
    return write_frames(read_sequences(source), source, path, pictures, BOXES, CONFIG, scheduler, 2)


def content(root: Path) -> dict[str, bytes]:
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_store_holds_every_frame_of_every_sequence(source, tmp_path):
    summary = write(source, tmp_path / "frames")
    assert (summary.num_frames, summary.num_shards, summary.shards_resumed) == (290, 5, 0)
    store, sequences = FrameStore(tmp_path / "frames", source), read_sequences(source)
    assert (store.num_frames, store.size_px, store.config) == (290, 16, CONFIG)
    for n in range(3):
        np.testing.assert_array_equal(store.frames(sequences.frames(n)), made(n))


def test_every_scheduler_writes_the_same_bytes(source, tmp_path):
    """Of videos, which worker processes can open."""
    paths = []
    for n, length in enumerate(LENGTHS):
        paths.append(tmp_path / f"{n}.mp4")
        write_video(paths[-1], made(n, 32)[:length], 30)
    numbers = tuple(np.arange(length) for length in LENGTHS)
    pictures = VideoPictures(tuple(map(str, paths)), numbers, np.zeros((3, 2), np.int32))
    for scheduler in ("synchronous", "threads", "processes"):
        write(source, tmp_path / scheduler, pictures, scheduler)
        assert content(tmp_path / scheduler) == content(tmp_path / "synchronous")


def test_an_interrupted_run_is_taken_up_and_ends_in_the_same_bytes(source, tmp_path):
    write(source, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        write(source, tmp_path / "cut", Made(fails=0))
    assert not (tmp_path / "cut").exists()
    finished = len(list((partial_path(tmp_path / "cut") / shards.DONE).iterdir()))
    assert write(source, tmp_path / "cut").shards_resumed == finished
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert not partial_path(tmp_path / "cut").exists() and not (tmp_path / "cut" / shards.DONE).exists()


def test_a_damaged_chunk_is_told_and_other_poses_are_refused(source, tmp_path):
    write(source, tmp_path / "frames")
    file = tmp_path / "frames" / "frames" / "c" / "1" / "0" / "0" / "0"
    whole = bytearray(file.read_bytes())
    whole[100] ^= 1
    file.write_bytes(whole)
    store = FrameStore(tmp_path / "frames")
    np.testing.assert_array_equal(store.frames(slice(0, 64)), np.concatenate([made(0), made(1)])[:64])
    with pytest.raises(InputError, match=r"frames that decompress.*frames 64 to 70"):
        store.frames(slice(64, 70))
    with pytest.raises(InputError, match="made from other poses"):
        other = read_sequences(source)
        other.joints[0] = 5
        write_sequences(other, tmp_path / "other")
        FrameStore(tmp_path / "frames", tmp_path / "other")


def test_a_data_set_without_pictures_says_so(source, tmp_path):
    write_unused(tmp_path / "frames", source)
    with pytest.raises(InputError, match=r"was made without\. Run the stage frames again"):
        FrameStore(tmp_path / "frames", source)
