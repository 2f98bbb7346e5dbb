"""Key events from a label of each frame, as data sets have them beside their poses."""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.config import InputError


def events_of(labels: Sequence[int], phases: Sequence[int], where: str) -> tuple[int, ...]:
    """The first frame of each of `phases` in the labels of all frames, -1 where it is absent.

    Raises InputError for labels in which a phase comes, or comes again, after a later one.
    """
    order = [(frame, phases.index(label)) for frame, label in enumerate(labels) if label in phases]
    for (_, before), (frame, phase) in pairwise(order):
        if phase < before:
            raise InputError(
                f"Expected labels in the order {list(phases)}, but got {phases[phase]} after {phases[before]} in {where},"
                f" frame {frame}. Name other phases, or give key events in a CSV."
            )
    first = {phase: frame for frame, phase in reversed(order)}
    return tuple(first.get(phase, -1) for phase in range(len(phases)))
