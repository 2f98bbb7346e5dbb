"""How fast videos become detections: `python -m benchmarks.extract [FOLDER] [ESTIMATOR]`.

Peer: the plain loop that estimators' examples show, cv2.VideoCapture and one frame after the other. Against it
`pipeline.extraction`, which decodes ahead of the estimator, in one process and in one per core. All run from this
process, on the same videos with the same weights; start-up, which is told apart, is left out of the loop's time and not
of ours. FOLDER: mp4 files; without it synthetic people are filmed. ESTIMATOR: YAML, by default {name: mediapipe}.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import yaml
from pydantic import TypeAdapter
from rich.progress import Progress

from pipeline.estimators.registry import EstimatorConfig, load_estimator
from pipeline.extraction import Job, Run, estimate
from pipeline.film import FilmConfig, write_film

NUM_VIDEOS = 12


def plain_loop(videos: list[Path], config: EstimatorConfig) -> tuple[int, float]:
    """Frames, and seconds without those that loading takes."""
    estimator = load_estimator(config, Path("."))
    started, num_frames = time.perf_counter(), 0
    for path in videos:
        estimator.start()
        video = cv2.VideoCapture(str(path))
        while True:
            more, frame = video.read()
            if not more:
                break
            estimator(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)[None])
            num_frames += 1
    return num_frames, time.perf_counter() - started


def ours(videos: list[Path], config: EstimatorConfig, workers: int) -> float:
    """Seconds, all included."""
    with tempfile.TemporaryDirectory() as kept:
        started = time.perf_counter()
        jobs = {str(path): Job(path, Path("."), config) for path in videos}
        _, left_out = estimate(jobs, Run(Path(kept), workers=workers))
        assert not left_out
        return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as film:
        if len(sys.argv) > 1:
            folder = Path(sys.argv[1])
        else:
            folder = Path(film) / "film"
            config = FilmConfig(root="data/raw/studio", train_videos=NUM_VIDEOS // 3, val_videos=2)
            write_film(config, folder, Progress(disable=True))
        videos = sorted(folder.rglob("*.mp4"))[:NUM_VIDEOS]
        settings = yaml.safe_load(sys.argv[2]) if len(sys.argv) > 2 else {"name": "mediapipe"}
        estimator = TypeAdapter(EstimatorConfig).validate_python(settings)
        num_frames, seconds = plain_loop(videos, estimator)
        print(f"{len(videos)} videos, {num_frames} frames, {settings}")
        print(f"plain loop               {num_frames / seconds:7.1f} frames/s")
        for workers in sorted({1, os.cpu_count() or 1}):
            own = ours(videos, estimator, workers)
            print(
                f"la2ds, {workers} worker{'s' * (workers > 1):1}         {num_frames / own:7.1f} frames/s, ratio {seconds / own:.2f}"
            )


if __name__ == "__main__":
    main()
