"""Find a moment of one clip again in others (the paper's Fig. 10), and say how sure the place is.

Shapes: T frames of a clip, D feature width.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from pipeline.config import InputError
from pipeline.embedded import EmbeddedAction

TOLERANCE = 0.05  # share of a clip that counts as the same place, as in the event error


@dataclass(frozen=True)
class Match:
    """A frame of another clip. clip: its number in the `EmbeddedAction`. confidence: as `certainty` says, in [0, 1]."""

    clip: int
    frame: int
    distance: float
    confidence: float


def certainty(distances: np.ndarray, frame: int) -> float:
    """How far the frames like a moment are gathered where it was found, in [0, 1].

    distances: (T,) of the moment to every frame of a clip. Each frame weighs exp(1 - (distance / least distance)^2), so
    that one twice as far as the nearest counts 0.05; the share of the weight that lies within 5 % of the clip around `frame`.
    """
    least = distances.min()
    ratio = np.divide(distances, least, out=np.where(distances > 0, np.inf, 1.0), where=least > 0)
    weight = np.exp(1 - ratio**2)
    near = np.abs(np.arange(len(distances)) - frame) <= TOLERANCE * len(distances)
    return float(weight[near].sum() / weight.sum())


def search(embedded: EmbeddedAction, clip: int, frame: int, among: Iterable[int]) -> list[Match]:
    """The nearest frame of each clip of `among` but the moment's own, nearest clip first; the first of equally near frames.

    Raises InputError for a frame that the clip does not have.
    """
    moment = _moment(embedded, clip, frame)
    found = []
    for other in among:
        if other != clip:
            distances = cdist(moment, embedded.features(other))[0]
            place = int(distances.argmin())
            found.append(Match(other, place, float(distances[place]), certainty(distances, place)))
    return sorted(found, key=lambda match: match.distance)


def nearest_moments(embedded: EmbeddedAction, clip: int, frame: int, among: Iterable[int], k: int) -> list[Match]:
    """The k nearest frames of all clips of `among` but the moment's own, several of one clip included, nearest first."""
    moment = _moment(embedded, clip, frame)
    found = []
    for other in among:
        if other != clip:
            distances = cdist(moment, embedded.features(other))[0]
            for place in distances.argsort(kind="stable")[:k].tolist():
                found.append(Match(other, place, float(distances[place]), certainty(distances, place)))
    return sorted(found, key=lambda match: match.distance)[:k]


def _moment(embedded: EmbeddedAction, clip: int, frame: int) -> np.ndarray:
    """(1, D)."""
    length = int(embedded.clips.lengths[clip])
    if not 0 <= frame < length:
        raise InputError(
            f"Expected a frame of {embedded.clips.names[clip]!r} in 0..{length - 1}, but got {frame}. Name one of these."
        )
    return embedded.features(clip)[frame : frame + 1]
