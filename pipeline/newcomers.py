"""Embed sequences that were not there when a network was trained: other people's clips, or changed ones."""

import tempfile
from pathlib import Path

import numpy as np

from pipeline.checkpoint import load_network
from pipeline.config import InputError
from pipeline.device import pick_device
from pipeline.embedding import embed
from pipeline.frame_store import FrameStore, write_frames
from pipeline.frames import Pictures, frame_boxes
from pipeline.heatmap_store import HeatmapStore, write_heatmaps
from pipeline.inputs import STORES
from pipeline.modalities.registry import load_modalities
from pipeline.modalities.stores import Paths
from pipeline.sequence import PoseSequences, write_sequences


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
