"""One clip ready to be aligned: its frame features, its poses, and the video that they lie in; known or new."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.config import InputError
from pipeline.contact_sheet import Take, take
from pipeline.datasets.videos import VideosConfig
from pipeline.embedded import EmbeddedAction
from pipeline.extraction import Run
from pipeline.frames import video_pictures
from pipeline.modalities.stores import Paths
from pipeline.newcomers import embed_sequences, estimate_videos
from pipeline.projection import ProjectConfig, project
from pipeline.sequence import PoseSequences

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Performance:
    """One clip of T frames. features (T, D). poses: what is drawn. events: frames of its key events, -1 where absent.

    video: what its poses lie in, as pixels, None without.
    """

    name: str
    features: np.ndarray
    poses: Take
    events: tuple[int, ...]
    video: Path | None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def seconds(self) -> np.ndarray:
        """(T,) time of each frame."""
        return np.arange(len(self)) / self.poses.fps


def footage(sequences: PoseSequences, n: int) -> Path | None:
    """The video of a sequence where the joints are its pixels and it is still there."""
    video = sequences.videos[n]
    if not video or sequences.joints.shape[2] == 3 or sequences.poses == "projected":
        return None
    if not Path(video).exists():
        log.warning("on white: the video %s is gone", video)
        return None
    return Path(video)


def known(found: EmbeddedAction, i: int) -> Performance:
    """Clip i of an embedded action."""
    return _performance(found.sequences, found.numbers[i], found.features(i))


def new(
    videos: Mapping[str, Path],
    found: EmbeddedAction,
    source: VideosConfig,
    projection: ProjectConfig,
    network: Path,
    trained_on: Paths,
    run: Run,
) -> list[Performance]:
    """Videos by name, estimated and projected as `source` and `projection` say, embedded by a network of `found`.

    network: the path that `save_network` was given. trained_on: the stores of its data set. A video that cannot be used
    is left out with a warning, unless `run.strict`. Raises InputError for another skeleton than that trained on.
    """
    estimated = estimate_videos(videos, source, found.sequences.dataset, found.action, run)
    if (mine := estimated.skeleton).joints != (theirs := found.sequences.skeleton).joints:
        raise InputError(
            f"Expected skeleton {theirs.name!r}, which {found.sequences.dataset} was trained on, but the estimator finds"
            f" {mine.name!r}. Name another estimator."
        )
    sequences = project(estimated, projection, to_train=False)
    sequences = replace(sequences, event_names={found.action: found.sequences.event_names[found.action]})
    features = embed_sequences(sequences, network, trained_on, video_pictures(sequences))
    return [_performance(sequences, n, one) for n, one in enumerate(features)]


def _performance(sequences: PoseSequences, n: int, features: np.ndarray) -> Performance:
    events = tuple(sequences.events[n, : len(sequences.event_names[sequences.actions[n]])].tolist())
    return Performance(sequences.names[n], features, take(sequences, n), events, footage(sequences, n))
