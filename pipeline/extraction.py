"""One estimator over many videos, each once: decode, estimate, and keep what was found (2D poses from raw videos).

What was found in a video is kept in a file of its own, under a name made from all it depends on: the video's content,
the estimator with its settings and weights, the frame rate and the code. So a run that was stopped, or gets one video
more, estimates what is missing and no more, and other choices on whom to follow cost nothing.
"""

import functools
import hashlib
import inspect
import json
import logging
import multiprocessing
import os
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import dask
import numpy as np
from dask.callbacks import Callback
from pydantic import TypeAdapter

from pipeline.config import InputError, MissingPackage
from pipeline.detections import Detections, gather
from pipeline.estimators.base import Estimator
from pipeline.estimators.registry import EstimatorConfig, load_estimator
from pipeline.progress import progress_bar
from pipeline.skeleton import load_skeleton
from pipeline.video import VideoInfo, batches, probe, resample
from pipeline.weights import sha256

log = logging.getLogger(__name__)

CODE = ("detections.py", "video.py", "container.py", "extraction.py", "estimators/base.py")
LOCAL = ("processes", "threads", "synchronous")
BATCH_BYTES = 2**26  # of frames at once: 4K video is 24 MB a frame, and more than one batch is alive
UNFINISHED_S = 86_400  # what is left of a run for longer is nobody's


@dataclass(frozen=True)
class Run:
    """Where and how to run.

    kept: folder of what was found in each video. scheduler: dask's processes, threads or synchronous, or the address of
    a dask.distributed scheduler whose workers see the same files. workers: videos at once, by default one per core.
    strict: stop at the first video that cannot be used.
    """

    kept: Path
    scheduler: str = "processes"
    workers: int | None = None
    strict: bool = False

    def __post_init__(self):
        if self.scheduler not in LOCAL and "://" not in self.scheduler:
            raise InputError(
                f"Expected a scheduler of {list(LOCAL)} or the address of one, tcp://HOST:PORT, but got"
                f" {self.scheduler!r}. Correct --scheduler."
            )


@dataclass(frozen=True)
class Job:
    """One video, or folder of frames, and how to estimate it.

    fps: resample to this rate, if given. frames_fps: rate of a folder of frames. root: what weights are relative to.
    """

    path: Path
    root: Path
    estimator: EstimatorConfig
    fps: float | None = None
    frames_fps: float | None = None
    batch_size: int = 8


@dataclass(frozen=True)
class Task:
    """A job to do: all that the result depends on (JSON-ready), where it is kept, and how many frames it has."""

    name: str
    job: Job
    made_from: dict
    path: Path
    num_frames: int

    def resolved(self) -> "Task":
        """For a worker in another folder."""
        job = replace(self.job, path=self.job.path.resolve(), root=self.job.root.resolve())
        return replace(self, job=job, path=self.path.resolve())


@dataclass(frozen=True)
class Estimated:
    """What was found in one video.

    video_frames: (T,) int32 the frames estimated, times: (T,) their seconds; num_frames: all that the video has.
    frame_size: (width, height) in pixels.
    """

    detections: Detections
    video_frames: np.ndarray
    times: np.ndarray
    num_frames: int
    fps: float
    frame_size: tuple[int, int]
    variable_rate: bool


def estimate(jobs: dict[str, Job], run: Run) -> tuple[dict[str, Estimated], dict[str, str]]:
    """Estimate the videos, by name, that are not kept yet; return all, and the reason of each that cannot be used.

    Raises InputError, for settings and weights, before any video is read; with `run.strict` for the first bad video.
    """
    for job in jobs.values():
        _estimator(job)
    run.kept.mkdir(parents=True, exist_ok=True)
    for unfinished in run.kept.glob("*.partial"):
        if time.time() - unfinished.stat().st_mtime > UNFINISHED_S:
            unfinished.unlink(missing_ok=True)
    done, left_out = {}, {}
    with progress_bar("frames") as progress:
        bar = progress.add_task(f"{len(jobs)} videos", total=None)
        todo: dict[str, Task] = {}
        for name, job in jobs.items():
            try:
                info, made_from = probe(job.path, job.frames_fps), _made_from(job)
                task = Task(name, job, made_from, run.kept / f"{_hash(made_from)[:32]}.npz", len(_frames(job, info)))
                if (found := _load(task.path)) is None:
                    todo[name] = task
                else:
                    done[name] = found
            except InputError as error:
                _leave_out(name, str(error), left_out, run)
        counts = len(jobs), len(done), len(left_out), len(todo)
        log.info("%d videos: %d kept from before, %d left out, %d to estimate", *counts)
        progress.update(bar, total=sum(task.num_frames for task in todo.values()))

        def ended(name: str, reason: str) -> None:
            task = todo[name]
            progress.advance(bar, task.num_frames)
            if not reason and (found := _load(task.path)) is not None:
                done[name] = found
            else:
                reason = reason or f"Expected poses in {task.path}, but there are none. Let workers see the same files."
                _leave_out(name, reason, left_out, run)

        if todo:
            _run_all(list(todo.values()), run, ended)
    return {name: done[name] for name in jobs if name in done}, left_out


def _leave_out(name: str, reason: str, left_out: dict[str, str], run: Run) -> None:
    if run.strict:
        raise InputError(f"{reason} (--strict stops at the first; what was estimated is kept)")
    log.warning("left out %s: %s", name, reason)
    left_out[name] = reason


def _run_all(tasks: list[Task], run: Run, ended: Callable[[str, str], None]) -> None:
    """Estimate and keep; `ended` is told the name of each video when it is done, and the reason if it cannot be used."""
    if "://" in run.scheduler:
        return _run_on_cluster(tasks, run.scheduler, ended)
    cores = os.cpu_count() or 1
    workers = min(run.workers or cores, len(tasks))
    scheduler = "synchronous" if workers == 1 else run.scheduler
    # Worker processes take this up when they start: a share of the cores each.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    with Callback(posttask=lambda key, result, *_: ended(*result)):
        # Without chunksize dask hands out six videos at a time to each process.
        dask.compute(*map(dask.delayed(_estimate_one), tasks), scheduler=scheduler, num_workers=workers, chunksize=1)
    return None


def _run_on_cluster(tasks: list[Task], address: str, ended: Callable[[str, str], None]) -> None:
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError:
        raise MissingPackage(
            f"Expected dask.distributed for scheduler {address}, but it is not installed. Run `pip install -e '.[cluster]'`."
        ) from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise InputError(f"Expected a scheduler at {address}, but got {error}. Correct the address.") from None
    with client:
        for future in as_completed([client.submit(_estimate_one, task.resolved(), pure=False) for task in tasks]):
            ended(*future.result())


def _estimate_one(task: Task) -> tuple[str, str]:
    """Estimate one video and keep what was found; (name, "") or (name, why it cannot be used)."""
    _end_with_parent()
    job = task.job
    try:
        if _made_from(job) != task.made_from:
            raise InputError(
                f"Expected video, weights, code and packages as where the run began, but got others for {job.path}."
                " Run extract again; start workers anew after an update."
            )
        info = probe(job.path, job.frames_fps)
        video_frames = _frames(job, info)
        batch_size = min(job.batch_size, max(1, BATCH_BYTES // (3 * info.width * info.height)))
        estimator = _estimator(job)
        estimator.start()
        people = []
        for batch in batches(job.path, video_frames, batch_size):
            people += estimator(batch)
    except InputError as error:
        return task.name, str(error)
    except Exception as error:  # whatever a decoder or a model raises: one video must not end the others
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        log.debug("%s", job.path, exc_info=True)
        return task.name, f"Expected a video that can be estimated, but got {detail!r} for {job.path}. Leave it out."
    detections = gather(people, load_skeleton(estimator.skeleton).num_joints)
    partial = task.path.with_name(f"{task.path.name}.{uuid.uuid4().hex}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            counts=detections.counts,
            joints=detections.joints,
            confidence=detections.confidence,
            video_frames=video_frames.astype(np.int32),
            times=info.times[video_frames],
            num_frames=info.num_frames,
            fps=job.fps or info.fps,
            frame_size=(info.width, info.height),
            variable_rate=info.variable_rate,
        )
    os.replace(partial, task.path)
    return task.name, ""


@functools.cache
def _end_with_parent() -> None:
    """A worker process whose run was killed would go on, and hold its memory, for good."""
    if (parent := multiprocessing.parent_process()) is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _frames(job: Job, info: VideoInfo) -> np.ndarray:
    return resample(info.times, job.fps) if job.fps else np.arange(info.num_frames)


def _estimator(job: Job) -> Estimator:
    weights = getattr(job.estimator, "weights", None)
    stamp = (job.root / weights).stat() if weights and (job.root / weights).is_file() else None
    stamp = stamp and (stamp.st_mtime_ns, stamp.st_size)
    return _loaded(job.estimator.model_dump_json(), str(job.root), stamp, threading.get_ident())


@functools.cache
def _loaded(config: str, root: str, stamp: tuple[int, int] | None, thread: int) -> Estimator:
    """One of each in a process and thread: loading takes longer than many a video, and it remembers the last frame."""
    return load_estimator(TypeAdapter(EstimatorConfig).validate_json(config), Path(root))


def _made_from(job: Job) -> dict:
    """All that what is found depends on; a worker compares it with the run's own."""
    estimator = _estimator(job)
    return {
        "video": _content(job.path),
        "estimator": [estimator.name, estimator.version, estimator.weights],
        "settings": job.estimator.model_dump(mode="json", exclude={"weights", "sha256"}),
        "rates": [job.fps, job.frames_fps],
        "decoders": [av.__version__, cv2.__version__],
        "code": _code(inspect.getfile(type(estimator))),
    }


def _hash(content) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> str:
    if path.is_file():
        return sha256(path)
    return _hash([[file.name, sha256(file)] for file in sorted(path.iterdir()) if file.is_file()])


@functools.cache  # of the code as it was when this process first needed it
def _code(estimator: str) -> str:
    package = Path(__file__).parent
    return _hash([sha256(file) for file in (*(package / name for name in CODE), Path(estimator))])


def _load(path: Path) -> Estimated | None:
    """None if there is none, or what is there cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            content = {key: stored[key] for key in stored.files}
        return Estimated(
            detections=Detections(content["counts"], content["joints"], content["confidence"]),
            video_frames=content["video_frames"],
            times=content["times"],
            num_frames=int(content["num_frames"]),
            fps=float(content["fps"]),
            frame_size=(int(content["frame_size"][0]), int(content["frame_size"][1])),
            variable_rate=bool(content["variable_rate"]),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
