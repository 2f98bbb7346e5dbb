"""Skeleton topologies: joints, limbs, left/right pairs and limb chains (method: paper section 3.1)."""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from pipeline.config import InputError

BUILT_IN = Path(__file__).parent / "skeletons"


@dataclass(frozen=True)
class Skeleton:
    """One topology of K joints and L limbs; every reference to a joint is its index in `joints`.

    joints: K names. limbs: L index pairs. pairs: (left, right) index pairs that a mirror exchanges. chains: limb
    chains, proximal joint first, then its descendants; the orientation augmentation rotates these. zaxis, xaxis:
    the index pairs that CASA's per-frame normalisation lays on +z and +x, or None.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[int, int], ...] = ()
    chains: dict[str, tuple[int, ...]] = field(default_factory=dict)
    zaxis: tuple[int, int] | None = None
    xaxis: tuple[int, int] | None = None

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def num_limbs(self) -> int:
        return len(self.limbs)

    @cached_property
    def mirrored(self) -> np.ndarray:
        """(K,) index of each joint's partner under left/right exchange; itself where it has none."""
        index = np.arange(self.num_joints)
        for left, right in self.pairs:
            index[left], index[right] = right, left
        return index

    @cached_property
    def limb_index(self) -> np.ndarray:
        """(L, 2) int64 joint indices of the limbs."""
        return np.array(self.limbs, dtype=np.int64).reshape(-1, 2)

    def to_dict(self) -> dict:
        """A JSON-ready dictionary that `skeleton_from_dict` reads back unchanged."""
        return asdict(self)


def skeleton_from_dict(spec: dict, where: str) -> Skeleton:
    """Build a topology from names or 0-based indices; `where` names the file in errors.

    Raises InputError for an unknown key, a value of the wrong kind, a duplicate joint, a joint in two pairs, and a limb,
    pair, chain or axis whose joint does not exist.
    """
    if not isinstance(spec, dict):
        raise InputError(f"Expected a mapping with 'joints' and 'limbs', but got {type(spec).__name__} in {where}.")
    known = {"name", "joints", "limbs", "pairs", "chains", "zaxis", "xaxis"}
    if unknown := set(spec) - known:
        raise InputError(
            f"Expected keys {sorted(known)}, but got {sorted(map(str, unknown))} in {where}. Remove or rename them."
        )
    if missing := {"joints", "limbs"} - set(spec):
        raise InputError(f"Expected keys 'joints' and 'limbs', but {sorted(missing)} is missing in {where}. Add it.")
    for key, kind in {"joints": list, "limbs": list, "pairs": list, "chains": dict}.items():
        if not isinstance(spec.get(key) or kind(), (list, tuple) if kind is list else dict):
            raise InputError(f"Expected a {kind.__name__}, but {key!r} is {spec[key]!r} in {where}. Correct it.")
    joints = tuple(str(joint) for joint in spec["joints"] or ())
    if not joints:
        raise InputError(f"Expected at least one joint, but 'joints' is empty in {where}. Name them.")
    if duplicate := [joint for i, joint in enumerate(joints) if joint in joints[:i]]:
        raise InputError(f"Expected distinct joint names, but got {duplicate[0]!r} twice in {where}. Rename one.")

    def index(joint, owner: str) -> int:
        if isinstance(joint, int) and not isinstance(joint, bool) and 0 <= joint < len(joints):
            return joint
        if isinstance(joint, str) and joint in joints:
            return joints.index(joint)
        expected = f"a name from 'joints' or an index in 0..{len(joints) - 1}"
        raise InputError(f"Expected {expected}, but {owner} names joint {joint!r} in {where}. Correct it.")

    def group(entry, owner: str, length: int | None = 2) -> tuple[int, ...]:
        if not isinstance(entry, (list, tuple)) or (len(entry) != length if length else len(entry) < 2):
            raise InputError(
                f"Expected {length or 'at least 2'} joints, but {owner} is {entry!r} in {where}. Correct it."
            )
        found = tuple(index(joint, owner) for joint in entry)
        if len(set(found)) < len(found):
            raise InputError(f"Expected distinct joints, but {owner} is {entry!r} in {where}. Correct it.")
        return found

    def axis(key: str) -> tuple[int, int] | None:
        return group(spec[key], key) if spec.get(key) is not None else None

    pairs = tuple(group(pair, f"pair {i}") for i, pair in enumerate(spec.get("pairs") or ()))
    paired = [joint for pair in pairs for joint in pair]
    if twice := [joints[joint] for i, joint in enumerate(paired) if joint in paired[:i]]:
        raise InputError(f"Expected a joint in one pair, but {twice[0]!r} is in two in {where}. Remove one.")

    return Skeleton(
        name=str(spec.get("name", Path(where).stem)),
        joints=joints,
        limbs=tuple(group(limb, f"limb {i}") for i, limb in enumerate(spec["limbs"] or ())),
        pairs=pairs,
        chains={name: group(chain, f"chain {name!r}", None) for name, chain in (spec.get("chains") or {}).items()},
        zaxis=axis("zaxis"),
        xaxis=axis("xaxis"),
    )


def load_skeleton(name_or_path: str) -> Skeleton:
    """A built-in topology by name (`coco_17`, ...) or a user's own by the path of its YAML file."""
    built_in = sorted(path.stem for path in BUILT_IN.glob("*.yaml"))
    path = BUILT_IN / f"{name_or_path}.yaml" if name_or_path in built_in else Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"Expected a skeleton of {built_in} or a YAML file, but got {name_or_path!r}. Correct the name."
        )
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected a YAML file, but got text that does not parse in {path}: {' '.join(str(error).split())}"
        ) from None
    return skeleton_from_dict(spec, str(path))
