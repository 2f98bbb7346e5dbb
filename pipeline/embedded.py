"""The sequences of one action with their frame embeddings: what alignment, transfer, search and deviations start from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.config import InputError
from pipeline.metrics.clips import Clips, labelled_clips
from pipeline.sequence import PoseSequences, read_sequences
from pipeline.store import check


@dataclass(frozen=True, eq=False)
class EmbeddedAction:
    """All sequences of one action, training and validation, N of them.

    sequences: the pose store. numbers (N,): where they lie in it. clips: their labels and features, in the same order.
    input, seed: of the network that embedded them, e.g. `pose2d+rgb` and 0.
    """

    sequences: PoseSequences
    numbers: tuple[int, ...]
    clips: Clips
    action: str
    input: str
    seed: int

    def find(self, name: str) -> int:
        """The clip of that name; raises InputError for one that is not there."""
        if name not in self.clips.names:
            some = ", ".join(self.clips.names[:5])
            raise InputError(
                f"Expected a sequence of {self.sequences.dataset}, action {self.action}, but got {name!r}."
                f" Name one of {len(self.clips)}, e.g. {some}."
            )
        return self.clips.names.index(name)

    def features(self, i: int) -> np.ndarray:
        """(T, D) of clip i."""
        return self.clips.features[self.clips.frames(i)]

    def of_split(self, split: str) -> list[int]:
        """The clips of a split."""
        return [i for i, n in enumerate(self.numbers) if self.sequences.splits[n] == split]

    def only(self, chosen: Sequence[int]) -> "EmbeddedAction":
        """The same with some of the clips, in the order given."""
        numbers = [self.numbers[i] for i in chosen]
        features = np.concatenate([self.features(i) for i in chosen])
        clips = replace(labelled_clips(self.sequences, numbers), features=features)
        return replace(self, numbers=tuple(numbers), clips=clips)


def seed_files(folder: Path) -> dict[int, Path]:
    """Seed -> `seed_<seed>.npz` of what `evaluate_dataset` wrote for an action and input, by number: the first seed first."""
    found = {int(path.stem.removeprefix("seed_")): path for path in folder.glob("seed_*.npz")}
    return dict(sorted(found.items()))


def load_embedding(file: Path, names: Sequence[str]) -> np.ndarray:
    """(F, D) features of the named videos, in their order; file: `seed_<seed>.npz` of what `evaluate_dataset` wrote."""
    with np.load(file) as stored:
        offsets, features = stored["offsets"], stored["features"]
        place = {name: slice(*offsets[n : n + 2]) for n, name in enumerate(stored["names"].tolist())}
    return np.concatenate([features[place[name]] for name in names])


def load_embedded(
    poses: Path, results: Path, action: str | None = None, seen: str | None = None, seed: int | None = None
) -> EmbeddedAction:
    """The sequences of `action`, by default the only one, as the network of an input and seed, by default the first, sees them.

    poses: the pose store. results: what `evaluate_dataset` wrote. Raises InputError where there is no such action, input
    or seed, naming those there are, and where results were not made from these poses.
    """
    check(results, {"poses": poses})
    sequences = read_sequences(poses)
    actions = list(sequences.event_names)
    if action is None and len(actions) > 1:
        raise InputError(f"Expected one action of {actions} for {sequences.dataset}, but got none. Name it.")
    action = action or actions[0]
    if action not in actions:
        raise InputError(f"Expected an action of {actions}, but got {action!r} for {sequences.dataset}. Correct it.")
    folder = results / "embeddings" / action
    inputs = sorted((path.name for path in folder.iterdir()), key=lambda name: ("+" in name, name != "pose2d", name))
    seen = seen or inputs[0]
    if seen not in inputs:
        raise InputError(f"Expected an input of {inputs}, but got {seen!r} for {sequences.dataset}. Correct it.")
    files = seed_files(folder / seen)
    seed = next(iter(files)) if seed is None else seed
    if seed not in files:
        raise InputError(f"Expected a seed of {list(files)}, but got {seed} for {sequences.dataset}. Correct it.")
    numbers = sequences.where(action)
    clips = labelled_clips(sequences, numbers)
    clips = replace(clips, features=load_embedding(files[seed], clips.names))
    return EmbeddedAction(sequences, tuple(numbers), clips, action, seen, seed)
