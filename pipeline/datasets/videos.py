"""Raw videos, or folders of frames: an estimator finds the people in each frame, and one of them is followed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.collection import CollectionConfig, Entry, collect, distinct, entries, load_each
from pipeline.estimators.registry import EstimatorConfig, load_estimator
from pipeline.extraction import Job, Run, estimate
from pipeline.person import PersonConfig, Track, follow
from pipeline.sequence import PoseSequences
from pipeline.skeleton import load_skeleton

VIDEOS = r".*\.(?i:mp4|avi|mov|mkv|webm|m4v)"


class VideosConfig(CollectionConfig):
    """Which videos, how they are estimated, and who is followed.

    content: files, or folders of images (the pattern then matches folders, and frames_fps is their rate). fps: resample
    to this rate; labels, which count the video's own frames, are kept in step. batch_size: frames at once.
    """

    reader: Literal["videos"] = "videos"
    pattern: str = VIDEOS
    content: Literal["files", "folders"] = "files"
    frames_fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    estimator: EstimatorConfig
    person: PersonConfig = PersonConfig()
    batch_size: int = Field(8, ge=1)


def read(config: VideosConfig, dataset: str, run: Run) -> PoseSequences:
    """The poses of all videos: one row for each frame, also where nobody was found.

    A video that cannot be decoded, or shows nobody, is left out. Raises InputError for settings and weights that are
    wrong, and as `collect` does.
    """
    found, left_out = distinct(entries(config, folders=config.content == "folders"))
    if left_out and run.strict:
        raise InputError(next(iter(left_out.values())))
    estimator = load_estimator(config.estimator, config.root)
    skeleton = load_skeleton(estimator.skeleton)
    jobs = {
        entry.name: Job(entry.path, config.root, config.estimator, config.fps, config.frames_fps, config.batch_size)
        for entry in found
    }
    estimated, unusable = estimate(jobs, run)
    left_out |= unusable
    people: dict[str, Track] = {}

    def load(entry: Entry) -> Iterator[Clip]:
        video = estimated[entry.name]
        person = people[entry.name] = follow(video.detections, video.fps, video.frame_size, config.person)
        yield entry.clip(
            person.joints,
            person.confidence,
            video.fps,
            frame_size=video.frame_size,
            video=str(entry.path),
            video_frames=video.video_frames,
            times=video.times,
        )

    clips, wrong = load_each((entry for entry in found if entry.name in estimated), load, skeleton)
    others = _others(config, found)
    num_frames = sum(len(one.video_frames) for one in estimated.values())
    provenance = {
        "estimator": f"{estimator.name} ({estimator.version})",
        "weights": f"sha256 {estimator.weights}",
        "other files": f"{len(others)} not read{''.join(f', {name}' for name in others[:3])}",
        "frames estimated": f"{num_frames} of {len(estimated)} videos",
        "frames with nobody": str(sum(one.num_frames_without for one in people.values())),
        "frames with several people": str(sum(int((one.num_people > 1).sum()) for one in people.values())),
        "videos in which the person may have been lost or confused": str(
            sum(one.num_tracks > 1 and one.num_frames_without + one.num_ambiguous_frames > 0 for one in people.values())
        ),
        "joints bridged": f"{sum(one.num_bridged_joints for one in people.values())} of {num_frames * skeleton.num_joints}",
        "videos of variable frame rate": str(sum(one.variable_rate for one in estimated.values())),
    }
    return collect(
        config,
        clips,
        left_out | wrong,
        dataset=dataset,
        skeleton=skeleton,
        poses="estimated",
        num_frames={name: one.num_frames for name, one in estimated.items()},
        provenance=provenance,
    )


def _others(config: VideosConfig, found: list[Entry]) -> list[str]:
    """Files below root, by path from there, that are neither videos nor labels."""
    known = {entry.path for entry in found} | ({config.root / config.events.path} if config.events else set())
    files = (path for path in sorted(config.root.rglob("*")) if path.is_file())
    return [path.relative_to(config.root).as_posix() for path in files if not known & {path, path.parent}]
