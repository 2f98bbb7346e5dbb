"""What is known of a new data set before its poses are: its videos, sequences, splits, labels, and what looks wrong."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.config import Config, InputError
from pipeline.datasets.collection import collect, distinct, entries
from pipeline.datasets.registry import read_source
from pipeline.datasets.videos import VideosConfig
from pipeline.extraction import Run
from pipeline.intake import files_below
from pipeline.sequence import PoseSequences
from pipeline.skeleton import skeleton_from_dict
from pipeline.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, VideoInfo, probe, resample

FEW = 8  # sequences per action; with fewer there is little to align
BODY = skeleton_from_dict({"name": "body", "joints": ["body"], "limbs": []}, "pipeline/survey.py")


@dataclass(frozen=True)
class Survey:
    """What is known of raw videos before anybody is looked for in them.

    preview: the data set as it will be, with its actions, splits, labels and what is left out, but without poses.
    infos: of each video that can be read, by sequence. kinds: suffix, or folder -> number of these. others: suffix ->
    number of files that are not taken.
    """

    preview: PoseSequences
    infos: dict[str, VideoInfo]
    kinds: Counter
    others: Counter


def names_of(config: Config, dataset: str, run: Run) -> set[str]:
    """Names of the sequences that the settings describe. Raises InputError as reading them would."""
    if isinstance(config, VideosConfig):
        return {entry.name for entry in entries(config, folders=config.content == "folders")}
    found = read_source(config, dataset, run)
    return {*found.names, *found.left_out}


def survey(config: VideosConfig, dataset: str) -> Survey:
    """Probe every video and lay out the data set. Raises InputError as reading it would: splits, actions, labels."""
    found, left_out = distinct(entries(config, folders=config.content == "folders"))
    infos, clips, kinds = {}, [], Counter()
    for entry in found:
        try:
            info = infos[entry.name] = probe(entry.path, config.frames_fps)
        except InputError as error:
            left_out[entry.name] = str(error)
            continue
        kinds[entry.path.suffix if config.content == "files" else "folder"] += 1
        rows = resample(info.times, config.fps) if config.fps else np.arange(info.num_frames)
        joints, confidence = np.zeros((len(rows), 1, 2)), np.ones((len(rows), 1))
        clip = entry.clip(joints, confidence, config.fps or info.fps, video=str(entry.path))
        clips.append(replace(clip, video_frames=rows, times=info.times[rows]))
    num_frames = {name: info.num_frames for name, info in infos.items()}
    preview = collect(config, clips, left_out, dataset=dataset, skeleton=BODY, poses="estimated", num_frames=num_frames)
    taken = set(VIDEO_SUFFIXES if config.content == "files" else IMAGE_SUFFIXES)
    others = Counter(Path(file).suffix.lower() or "no suffix" for file in files_below(config.root))
    return Survey(preview, infos, kinds, Counter({key: count for key, count in others.items() if key not in taken}))


def facts(found: Survey) -> dict[str, str]:
    """What the videos are, for the eye."""
    infos = found.infos.values()
    lengths, seconds = [info.num_frames for info in infos], [info.num_frames / info.fps for info in infos]
    variable = [name for name, info in found.infos.items() if info.variable_rate]
    return {
        "readable": f"{len(found.infos)} ({_counted(found.kinds.elements())})",
        "frames": " / ".join(f"{value:.0f}" for value in (min(lengths), np.median(lengths), max(lengths))),
        "seconds": " / ".join(f"{value:.1f}" for value in (min(seconds), np.median(seconds), max(seconds))),
        "fps": _counted(f"{info.fps:.2f}".rstrip("0").rstrip(".") for info in infos),
        "size as shown, px": _counted(f"{info.width}x{info.height}" for info in infos),
        "variable frame rate": ", ".join(variable) or "none",
        "other files, not taken": _counted(found.others.elements()) or "none",
    }


def _counted(values: Iterable[str]) -> str:
    return ", ".join(f"{value}: {count}" for value, count in Counter(values).most_common())


def advice(preview: PoseSequences, preset: str, batch_size: int) -> list[str]:
    """What will work, but hardly well: few videos, or a batch larger than the training videos."""
    found = []
    for action in preview.event_names:
        num_videos, num_train = len(preview.where(action)), len(preview.where(action, "train"))
        if num_videos < FEW:
            found.append(f"action {action!r} has {num_videos} sequences; with fewer than {FEW} little can be learnt")
        if batch_size > num_train:
            found.append(
                f"batch_size {batch_size} of preset {preset!r} exceeds the {num_train} training sequences of {action!r};"
                " set it lower, or take another preset"
            )
    return found
