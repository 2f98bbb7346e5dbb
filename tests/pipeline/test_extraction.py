"""Videos to detections: each once, in any way of running, and what cannot be used is named."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pipeline.extraction as extraction
from pipeline.config import InputError
from pipeline.datasets.registry import parse_source, read_source
from pipeline.estimators.base import People
from pipeline.extraction import Job, Run, estimate
from pipeline.video import write_video

SIZE = 64
ABOUT = np.linspace((-4, -6), (4, 6), 17)  # joint 8 in the middle


class Blob:
    """Finds the bright square in each frame as one person whose joints lie about its middle."""

    name, version, weights, skeleton = "mediapipe", "1", "0" * 64, "coco_17"

    def __init__(self):
        self.started, self.seen = 0, 0

    def start(self):
        self.started += 1

    def __call__(self, frames):
        self.seen += len(frames)
        people = []
        for frame in frames:
            y, x = np.nonzero(frame.mean(axis=2) > 128)
            found = (np.array((x.mean(), y.mean()) if len(x) else (0, 0)) + ABOUT).astype(np.float32)[None]
            people.append(People(found[: min(len(x), 1)], np.ones((min(len(x), 1), 17), dtype=np.float32)))
        return people


@pytest.fixture
def blob(monkeypatch):
    found = Blob()
    monkeypatch.setattr(extraction, "load_estimator", lambda config, root: found)
    monkeypatch.setattr("pipeline.datasets.videos.load_estimator", lambda config, root: found)
    extraction._loaded.cache_clear()
    yield found
    extraction._loaded.cache_clear()


def walk(path: Path, num_frames=12, fps=20.0, absent=()):
    """A square that moves 2 px a frame."""
    frames = np.full((num_frames, SIZE, SIZE, 3), 20, dtype=np.uint8)
    for t in range(num_frames):
        if t not in absent:
            frames[t, 20:30, 4 + 2 * t : 14 + 2 * t] = 235
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, fps)
    return path


def source(root, **changes):
    entry = {"reader": "videos", "root": str(root), "action": "walk", "estimator": {"name": "mediapipe"}}
    return parse_source(entry | {"val_fraction": 0.5, "seed": 0} | changes, "test")


def run(tmp_path, **changes):
    return Run(**{"kept": tmp_path / "kept", "scheduler": "synchronous"} | changes)


def test_one_row_a_frame_also_where_nobody_is(tmp_path, blob):
    for name, absent in (("a", ()), ("b", (0, 5, 6, 7, 8, 9, 10, 11)), ("c", ())):
        walk(tmp_path / "raw" / f"{name}.mp4", absent=absent)
    (tmp_path / "raw/notes.txt").write_text("no video")
    found = read_source(source(tmp_path / "raw", person={"max_gap_s": 0}), "test", run(tmp_path))
    assert found.lengths.tolist() == [12, 12, 12] and set(found.fps) == {20} and found.poses == "estimated"
    by_name = {name: n for n, name in enumerate(found.names)}
    joints = found.joints[found.frames(by_name["a"])]
    np.testing.assert_allclose(joints[:, 8], [(8.5 + 2 * t, 24.5) for t in range(12)], atol=1)
    seen = found.confidence[found.frames(by_name["b"])].any(axis=1)
    assert np.flatnonzero(~seen).tolist() == [0, 5, 6, 7, 8, 9, 10, 11]
    assert found.videos[by_name["b"]] == str(tmp_path / "raw/b.mp4")
    assert found.video_frames[found.frames(by_name["b"])].tolist() == list(range(12))
    assert found.frame_size.tolist() == [[SIZE, SIZE]] * 3
    assert found.provenance["estimator"] == "mediapipe (1)" and found.provenance["weights"].endswith("0" * 64)
    assert found.provenance["frames with nobody"] == "8"
    assert found.provenance["other files"] == "1 not read, notes.txt"


def test_every_video_starts_afresh_and_is_estimated_once(tmp_path, blob):
    for name in "abc":
        walk(tmp_path / "raw" / f"{name}.mp4", num_frames=10 + ord(name) % 3)
    first = read_source(source(tmp_path / "raw"), "test", run(tmp_path))
    assert (blob.started, blob.seen) == (3, first.num_frames)
    again = read_source(source(tmp_path / "raw", person={"smooth_s": 0.2}), "test", run(tmp_path))
    assert (blob.started, again.num_frames) == (3, first.num_frames)  # who is followed, and how, costs nothing
    walk(tmp_path / "raw/d.mp4", num_frames=15)
    os.rename(tmp_path / "raw/a.mp4", tmp_path / "raw/z.mp4")
    more = read_source(source(tmp_path / "raw"), "test", run(tmp_path))
    assert set(more.names) == {"b", "c", "d", "z"} and blob.started == 4  # the new one; a new name changes nothing


def test_another_video_or_setting_or_code_is_estimated_again(tmp_path, blob, monkeypatch):
    path = walk(tmp_path / "a.mp4")
    settings = source(tmp_path).estimator
    estimate({"a": Job(path, tmp_path, settings)}, run(tmp_path))
    estimate({"a": Job(path, tmp_path, settings)}, run(tmp_path))
    assert blob.started == 1
    estimate({"a": Job(path, tmp_path, settings, fps=10)}, run(tmp_path))
    assert blob.started == 2
    monkeypatch.setattr(extraction, "_code", lambda name: "changed")
    estimate({"a": Job(path, tmp_path, settings)}, run(tmp_path))
    assert blob.started == 3
    monkeypatch.setattr(blob, "weights", "1" * 64)
    estimate({"a": Job(path, tmp_path, settings)}, run(tmp_path))
    assert blob.started == 4


def test_a_file_that_was_cut_off_is_estimated_again(tmp_path, blob):
    path = walk(tmp_path / "a.mp4")
    jobs = {"a": Job(path, tmp_path, source(tmp_path).estimator)}
    whole, _ = estimate(jobs, run(tmp_path))
    (kept,) = (tmp_path / "kept").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:200])
    again, _ = estimate(jobs, run(tmp_path))
    assert blob.started == 2
    np.testing.assert_array_equal(again["a"].detections.joints, whole["a"].detections.joints)


def test_a_worker_that_sees_another_video_says_so(tmp_path, blob, monkeypatch):
    """As a worker of a cluster might, that runs on while files and packages change."""
    path = walk(tmp_path / "a.mp4")
    job = Job(path, tmp_path, source(tmp_path).estimator)
    first, _ = estimate({"a": job}, run(tmp_path))
    original = path.read_bytes()
    walk(path, num_frames=7)
    second, _ = estimate({"a": job}, run(tmp_path))
    path.write_bytes(original)
    third, _ = estimate({"a": job}, run(tmp_path))
    assert [len(found["a"].video_frames) for found in (first, second, third)] == [12, 7, 12] and blob.started == 2
    in_worker = extraction._estimate_one

    def replaced(task):
        walk(path, num_frames=9)
        return in_worker(task)

    monkeypatch.setattr(extraction, "_estimate_one", replaced)
    found, left_out = estimate({"a": Job(path, tmp_path, source(tmp_path).estimator, fps=10)}, run(tmp_path))
    assert found == {} and "got others" in left_out["a"] and "a.mp4" in left_out["a"]


def test_whatever_is_raised_in_one_video_ends_that_video_alone(tmp_path, blob, monkeypatch):
    for name in "abcd":
        walk(tmp_path / "raw" / f"{name}.mp4", num_frames=8 + ord(name) % 7, absent=(0,) if name == "b" else ())
    call = Blob.__call__

    def breaks(self, frames):
        if frames[0].max() < 128:
            raise RuntimeError("out of\nmemory")
        return call(self, frames)

    monkeypatch.setattr(Blob, "__call__", breaks)
    found = read_source(source(tmp_path / "raw"), "test", run(tmp_path))
    assert set(found.names) == {"a", "c", "d"} and "RuntimeError: out of memory" in found.left_out["b"]


def test_the_size_of_batches_changes_nothing(tmp_path, blob):
    path = walk(tmp_path / "a.mp4")
    results = []
    for size in (1, 5, 100):
        job = Job(path, tmp_path, source(tmp_path).estimator, batch_size=size)
        results.append(estimate({"a": job}, Run(tmp_path / str(size), "synchronous"))[0]["a"].detections.joints)
    assert blob.started == 3
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_wrong_scheduler_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'nope'.*--scheduler"):
        Run(tmp_path, "nope")
    with pytest.raises(InputError, match="tcp://127"):
        path = walk(tmp_path / "a.mp4")
        jobs = {"a": Job(path, tmp_path, source(tmp_path).estimator)}
        estimate(jobs, Run(tmp_path / "kept", "tcp://127.0.0.1:1"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the process in /proc")
def test_a_worker_ends_with_the_run_that_was_killed(tmp_path):
    (tmp_path / "run.py").write_text(
        "import multiprocessing, time\n"
        "from pipeline.extraction import _end_with_parent\n"
        "def work(): _end_with_parent(); time.sleep(120)\n"
        "if __name__ == '__main__':\n"
        "    worker = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    worker.start(); print(worker.pid, flush=True); time.sleep(120)\n"
    )
    with subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        time.sleep(8)  # until it has imported what it needs
        os.kill(worker, 0)
        parent.kill()
        gone = time.monotonic() + 30
        while Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes():
            assert time.monotonic() < gone, "the worker goes on"
            time.sleep(0.2)


def test_resampled_to_a_rate(tmp_path, blob):
    for name in "abc":
        walk(tmp_path / "raw" / f"{name}.mp4", num_frames=20)
    (tmp_path / "raw/events.csv").write_text("sequence,n_frames,top\na,20,6\nb,20,7\nc,20,8\n")
    changes = {"fps": 10, "events": {"path": "events.csv", "columns": ["top"]}, "val_fraction": 0.6}
    found = read_source(source(tmp_path / "raw", **changes), "test", run(tmp_path))
    assert set(found.fps) == {10} and found.lengths.tolist() == [10] * 3 and blob.seen == 30
    assert found.video_frames[:10].tolist() == list(range(0, 20, 2))
    assert dict(zip(found.names, found.events[:, 0].tolist(), strict=True)) == {"a": 3, "b": 4, "c": 4}


def bad_videos(root: Path) -> None:
    good = walk(root / "good1.mp4").read_bytes()
    for number in (2, 3, 4):
        walk(root / f"good{number}.mp4", num_frames=10 + number)
    (root / "empty.mp4").write_bytes(b"")
    (root / "cut.mp4").write_bytes(good[: len(good) // 2])
    (root / "text.mp4").write_text("no video at all")
    (root / "notes.txt").write_text("by the way")
    walk(root / "nobody.mp4", absent=range(12))
    walk(root / "short.mp4", num_frames=1)
    walk(root / "twin/good1.mp4", num_frames=9)


def test_bad_videos_are_named_counted_and_the_rest_goes_on(tmp_path, blob, caplog):
    bad_videos(tmp_path / "raw")
    found = read_source(source(tmp_path / "raw"), "test", run(tmp_path))
    assert set(found.names) == {"good1", "good2", "good3", "good4"}
    assert set(found.left_out) == {"empty", "cut", "text", "nobody", "short", "twin/good1.mp4"}
    for name in ("empty", "cut", "text"):
        assert f"{name}.mp4" in found.left_out[name] and name in caplog.text
    assert "no joint" in found.left_out["nobody"] and "(1)" in found.left_out["short"]


def test_strict_stops_at_the_first_and_keeps_what_was_done(tmp_path, blob):
    bad_videos(tmp_path / "raw")
    with pytest.raises(InputError, match=r"good1\.mp4 is it already"):
        read_source(source(tmp_path / "raw"), "test", run(tmp_path, strict=True))
    assert blob.started == 0
    (tmp_path / "raw/twin/good1.mp4").unlink()
    with pytest.raises(InputError, match=r"cut\.mp4.*--strict"):
        read_source(source(tmp_path / "raw"), "test", run(tmp_path, strict=True))
    for name in ("empty.mp4", "cut.mp4", "text.mp4"):
        (tmp_path / "raw" / name).unlink()
    with pytest.raises(InputError, match=r"2 of 'test'"):
        read_source(source(tmp_path / "raw"), "test", run(tmp_path, strict=True))
    started = blob.started
    for name in ("nobody.mp4", "short.mp4"):
        (tmp_path / "raw" / name).unlink()
    assert len(read_source(source(tmp_path / "raw"), "test", run(tmp_path, strict=True))) == 4
    assert blob.started == started


def test_an_estimator_without_its_weights_stops_before_any_video(tmp_path):
    walk(tmp_path / "raw/a.mp4")
    settings = source(tmp_path / "raw", estimator={"name": "onnx", "weights": "no.onnx", "output": "movenet_multipose"})
    with pytest.raises(InputError, match=r"no\.onnx"):
        read_source(settings, "test", run(tmp_path))
    with pytest.raises(InputError, match="estimator"):
        source(tmp_path / "raw", estimator={"name": "psychic"})


def test_processes_get_one_video_at_a_time(tmp_path, blob, monkeypatch):
    """dask's own default hands six to one process, while the others wait."""
    seen = {}
    monkeypatch.setattr(extraction.dask, "compute", lambda *tasks, **how: seen.update(how))
    path = walk(tmp_path / "a.mp4")
    jobs = {name: Job(path, tmp_path, source(tmp_path).estimator, fps=fps) for name, fps in (("a", 5), ("b", 10))}
    estimate(jobs, Run(tmp_path / "kept", workers=2))
    assert (seen["scheduler"], seen["num_workers"], seen["chunksize"]) == ("processes", 2, 1)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("scheduler", ["processes", "threads", "cluster"])
def test_every_scheduler_finds_the_same(tmp_path, shared, scheduler):
    root = tmp_path / "raw"
    root.mkdir()
    for n in (1, 2, 3):
        os.symlink(shared / f"pushup_videos/videos/correct{n}.mp4", root / f"correct{n}.mp4")
    settings = source(root, estimator={"name": "mediapipe"}, fps=5)
    expected = read_source(settings, "test", run(tmp_path, kept=tmp_path / "one"))
    if scheduler == "cluster":
        distributed = pytest.importorskip("distributed")
        with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
            found = read_source(settings, "test", run(tmp_path, scheduler=cluster.scheduler_address))
    else:
        found = read_source(settings, "test", run(tmp_path, scheduler=scheduler, workers=2))
    assert json.dumps(found.provenance) == json.dumps(expected.provenance)
    np.testing.assert_array_equal(found.joints, expected.joints)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
