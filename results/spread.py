"""How embeddings are spread: `python results/spread.py DATASET FOLDER METHOD ...`, FOLDER holding `embeddings`.

Run in the project's root after `dvc repro` (FOLDER `data/results/DATASET`) or `la2ds table main --dataset DATASET`
(FOLDER `data/table_parts/DATASET-main/trained_/shown_`). Over actions and seeds, in %: the share of the training
frames' variance along their first direction, and the accuracy of an SVM of C = 1, the protocol's, and of C = 1000, which
only diagnoses, on training and validation frames.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.svm import SVC

from pipeline.embedded import load_embedding
from pipeline.metrics.clips import labelled_clips
from pipeline.sequence import read_sequences

dataset, root, *methods = sys.argv[1:]
sequences = read_sequences(Path("data/poses") / dataset)
for method in methods:
    rows = []
    for action in sequences.event_names:
        train, val = (labelled_clips(sequences, sequences.where(action, split)) for split in ("train", "val"))
        for file in sorted((Path(root) / "embeddings" / action / method).glob("seed_*.npz")):
            seen, other = (load_embedding(file, clips.names).astype(float) for clips in (train, val))
            size = np.linalg.svd(seen - seen.mean(axis=0), compute_uv=False) ** 2
            row = [size[0] / size.sum()]
            for strength in (1, 1000):
                svm = SVC(C=strength).fit(seen[train.labelled], train.phase[train.labelled])
                row += [
                    svm.score(frames[clips.labelled], clips.phase[clips.labelled])
                    for frames, clips in ((seen, train), (other, val))
                ]
            rows.append(row)
    if not rows:
        sys.exit(
            f"Expected embeddings of {method!r}, but there are none in {root}/embeddings. Correct FOLDER or METHOD."
        )
    for name, values in zip(
        ("first direction", "C = 1, train", "C = 1, val", "C = 1000, train", "C = 1000, val"),
        100 * np.array(rows).T,
        strict=True,
    ):
        shown = ", ".join(f"{value:.2f}" for value in np.sort(values))
        print(f"{dataset} {method} {name}: median {np.median(values):.1f} of {shown}")
