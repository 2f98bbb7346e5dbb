"""PCK@0.1 of a fitted openpifpaf network on the validation films: `python results/film_pck.py data/raw/people`."""

import sys
from pathlib import Path

from pipeline.estimators.openpifpaf import OpenpifpafConfig, load
from pipeline.estimators.openpifpaf_fit import SKELETON, read_frames, score

FRAMES_PER_VIDEO = 24

folder = Path(sys.argv[1])
frames = read_frames(folder / "film", "val", FRAMES_PER_VIDEO)
for complete in (False, True):
    estimator = load(
        OpenpifpafConfig(weights=Path("openpifpaf/openpifpaf.pkl"), long_edge_px=129, complete=complete), folder
    )
    estimator.start()
    found = score([people for image in frames.images for people in estimator(image[None])], frames.keypoints)
    per_joint = ", ".join(f"{joint} {value:.3f}" for joint, value in zip(SKELETON.joints, found, strict=True))
    print(f"complete={complete}: mean {found.mean():.4f} over {len(frames)} frames; {per_joint}")
