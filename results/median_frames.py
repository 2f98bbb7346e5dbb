"""Median frames between true key events and those carried over from one other clip: `python results/median_frames.py NAME ...`.

Run in the project's root, after `dvc repro`: all ordered pairs of validation clips, the nearest frame by the first
seed's embedding, and by the clock.
"""

import sys
from pathlib import Path

import numpy as np

from pipeline.embedded import load_embedding
from pipeline.metrics.clips import labelled_clips
from pipeline.metrics.controls import time_only
from pipeline.sequence import read_sequences

for dataset in sys.argv[1:]:
    sequences = read_sequences(Path("data/poses") / dataset)
    for action in sequences.event_names:
        clips = labelled_clips(sequences, sequences.where(action, "val"))
        folder = Path("data/results") / dataset / "embeddings" / action / "la2ds"
        learned = load_embedding(min(folder.glob("seed_*.npz")), clips.names)
        for method, features in (("la2ds", learned), ("time only", time_only(clips.lengths))):
            videos = [features[clips.frames(n)] for n in range(len(clips))]
            errors = [
                abs(int(((other - query[event]) ** 2).sum(axis=1).argmin()) - int(clips.events[m, e]))
                for n, query in enumerate(videos)
                for m, other in enumerate(videos)
                for e, event in enumerate(clips.events[n])
                if n != m and event >= 0 and clips.events[m, e] >= 0
            ]
            print(f"{dataset} {action} {method}: median {np.median(errors):.1f} frames, {len(errors)} events")
