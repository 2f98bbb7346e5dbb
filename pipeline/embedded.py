"""The sequences of one action with their frame embeddings: what alignment, transfer, search and deviations start from."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.config import InputError
from pipeline.inputs import OWN
from pipeline.metrics.clips import Clips, labelled_clips
from pipeline.sequence import PoseSequences, read_sequences
from pipeline.store import check
from pipeline.table import method_and_input, system


@dataclass(frozen=True, eq=False)
class EmbeddedAction:
    """All sequences of one action, training and validation, N of them.

    sequences: the pose store. numbers (N,): where they lie in it. clips: their labels and features, in the same order.
    input, seed: of the network of LA2DS that embedded them, e.g. `pose2d+rgb` and 0.
    """

    sequences: PoseSequences
    numbers: tuple[int, ...]
    clips: Clips
    action: str
    input: str
    seed: int

    def find(self, name: str) -> int:
        """The clip of that name; raises InputError for one that is not there."""
        names, others = self.clips.names, self.sequences.names
        if name in names:
            return names.index(name)
        if name in others:
            got = f"{name!r}, which is of action {self.sequences.actions[others.index(name)]}"
        else:
            got = repr(name)
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
        raise InputError(
            f"Expected a sequence of {self.sequences.dataset}, action {self.action}, but got {got}. Nearest of"
            f" {len(names)}: {', '.join(near)}."
        )

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
    poses: Path,
    results: Path,
    action: str | None = None,
    seen: str | None = None,
    seed: int | None = None,
    wanted: Sequence[str] = (),
) -> EmbeddedAction:
    """The sequences of an action as the network of an input and seed, by default the first, sees them.

    poses: the pose store. results: what `evaluate_dataset` wrote. action: by default that of the first of the sequences
    `wanted` that is there, or the only one. Raises InputError where there is no such action, input or seed, naming those
    there are, and where results were not made from these poses.
    """
    check(results, {"poses": poses})
    sequences = read_sequences(poses)
    actions = list(sequences.event_names)
    if action is None:
        known = dict(zip(sequences.names, sequences.actions, strict=True))
        told = [known[name] for name in wanted if name in known] or (actions if len(actions) == 1 else [])
        if not told:
            raise InputError(f"Expected one action of {actions} for {sequences.dataset}, but got none. Give --action.")
        action = told[0]
    if action not in actions:
        raise InputError(f"Expected an action of {actions}, but got {action!r} for {sequences.dataset}. Correct it.")
    folder = results / "embeddings" / action
    inputs = [seen for path in folder.iterdir() for method, seen in [method_and_input(path.name)] if method == OWN]
    inputs.sort(key=lambda name: ("+" in name, name != "pose2d", name))
    seen = next((name for name in inputs if set(name.split("+")) == set(seen.split("+"))), seen) if seen else inputs[0]
    if seen not in inputs:
        raise InputError(f"Expected an input of {inputs}, but got {seen!r} for {sequences.dataset}. Correct it.")
    files = seed_files(folder / system(OWN, seen))
    seed = next(iter(files)) if seed is None else seed
    if seed not in files:
        raise InputError(f"Expected a seed of {list(files)}, but got {seed} for {sequences.dataset}. Correct it.")
    numbers = sequences.where(action)
    clips = labelled_clips(sequences, numbers)
    clips = replace(clips, features=load_embedding(files[seed], clips.names))
    return EmbeddedAction(sequences, tuple(numbers), clips, action, seen, seed)
