"""Sequences that were not there when a network was trained, other people's clips or changed ones: found and embedded."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.checkpoint import load_network
from pipeline.clip import Clip
from pipeline.config import InputError
from pipeline.datasets.videos import VideosConfig
from pipeline.device import pick_device
from pipeline.embedding import embed
from pipeline.estimators.registry import load_estimator
from pipeline.extraction import Estimated, Job, Run, estimate
from pipeline.frame_store import FrameStore, write_frames
from pipeline.frames import Pictures, frame_boxes
from pipeline.heatmap_store import HeatmapStore, write_heatmaps
from pipeline.inputs import STORES
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths
from pipeline.person import follow
from pipeline.sequence import PoseSequences, from_clips, write_sequences
from pipeline.skeleton import load_skeleton


def embed_sequences(
    sequences: PoseSequences, network: Path, trained_on: Paths, pictures: Pictures | None = None
) -> list[np.ndarray]:
    """(T, D) float32 of each sequence, as `evaluate_dataset` would embed it: heatmaps and crops are made the same way.

    sequences: 2D. network: the path that `save_network` was given. trained_on: the stores of its data set. pictures: of these sequences, where the network sees
    pictures. Raises InputError where they are missing, and for another skeleton than the network's.
    """
    loaded = load_network(network).to(pick_device())
    modalities = tuple(loaded.specs)
    store = HeatmapStore(trained_on.heatmaps, trained_on.poses)
    render = store.config
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(*(Path(folder) / name for name in ("poses", "heatmaps", "frames")))
        write_sequences(sequences, paths.poses)
        write_heatmaps(sequences, paths.poses, paths.heatmaps, render, "synchronous")
        drawn = HeatmapStore(paths.heatmaps)
        if drawn.num_channels != store.num_channels:
            raise InputError(
                f"Expected a skeleton with {store.num_channels} heatmap channels, as in {trained_on.heatmaps}, but got"
                f" {drawn.num_channels} for {sequences.skeleton.name!r}. Estimate poses as those that were trained on."
            )
        if any(STORES[name] == "frames" for name in modalities):
            if pictures is None:
                raise InputError(
                    f"Expected pictures, which this network sees ({'+'.join(modalities)}), but these sequences have none."
                    " Choose the input pose2d."
                )
            config = FrameStore(trained_on.frames, trained_on.poses).config
            boxes = frame_boxes(sequences, render.padding, render.keep_aspect, config)
            write_frames(sequences, paths.poses, paths.frames, pictures, boxes, config, "synchronous")
        sources = load_modalities(modalities, paths.open(modalities)).values()
        return embed(loaded, sequences.lengths, lambda n: tuple(source.original(n) for source in sources))


def estimate_videos(
    videos: Mapping[str, Path], config: VideosConfig, dataset: str, action: str, run: Run
) -> PoseSequences:
    """The poses of videos, or folders of frames, by name, as the reader of a data set with these settings makes them.

    What cannot be used is left out with a warning; raises InputError for it with `run.strict`, and where nothing is left.
    """
    jobs = {
        name: Job(path, config.root, config.estimator, config.fps, config.frames_fps, config.batch_size)
        for name, path in videos.items()
    }
    estimated, left_out = estimate(jobs, run)

    def clip(name: str, video: Estimated) -> Clip:
        person = follow(video.detections, video.fps, video.frame_size, config.person)
        return Clip(
            name,
            action,
            "val",
            person.joints,
            person.confidence,
            video.fps,
            frame_size=video.frame_size,
            video=str(videos[name]),
            video_frames=video.video_frames,
        )

    sequences = from_clips(
        (clip(name, video) for name, video in estimated.items()),
        dataset=dataset,
        skeleton=load_skeleton(load_estimator(config.estimator, config.root).skeleton),
        event_names={},
        poses="estimated",
        labels="none",
        left_out=left_out,
        to_train=False,
    )
    if run.strict and sequences.left_out:
        name, reason = next(iter(sequences.left_out.items()))
        raise InputError(f"Expected a video to align, but got {reason} in {videos[name]}. Name another.")
    return sequences
