"""Find a moment of one clip again in others (the paper's Fig. 10), and say how sure the place is."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from pipeline.config import InputError
from pipeline.correspondence import confidence, pace
from pipeline.embedded import EmbeddedAction


@dataclass(frozen=True)
class Match:
    """A frame of another clip. clip: its number in the `EmbeddedAction`. confidence: as of `correspondence`."""

    clip: int
    frame: int
    distance: float
    confidence: float


def search(embedded: EmbeddedAction, clip: int, frame: int, among: Iterable[int]) -> list[Match]:
    """The nearest frame of each clip of `among` but the moment's own, nearest clip first; the first of equally near frames.

    Raises InputError for a frame that the clip does not have.
    """
    return _ranked(embedded, clip, frame, among, 1)


def nearest_moments(embedded: EmbeddedAction, clip: int, frame: int, among: Iterable[int], k: int) -> list[Match]:
    """The k nearest frames of all clips of `among` but the moment's own, several of one clip included, nearest first."""
    return _ranked(embedded, clip, frame, among, k)[:k]


def _ranked(embedded: EmbeddedAction, clip: int, frame: int, among: Iterable[int], of_each: int) -> list[Match]:
    own = embedded.features(clip)
    if not 0 <= frame < len(own):
        raise InputError(
            f"Expected a frame of {embedded.clips.names[clip]!r} in 0..{len(own) - 1}, but got {frame}. Name one of these."
        )
    found = []
    for other in among:
        if other != clip:
            features = embedded.features(other)
            distances = cdist(own[frame : frame + 1], features)
            scale = pace(own, features)
            for place in distances[0].argsort(kind="stable")[:of_each].tolist():
                sure = float(confidence(distances, np.array([place]), scale)[0])
                found.append(Match(other, place, float(distances[0, place]), sure))
    return sorted(found, key=lambda match: match.distance)
