"""What a revision of the project holds, read through DVC from its cache: results, losses, and what they were made from."""

import csv
import io
import json
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from pipeline.comparison import Results
from pipeline.config import InputError
from pipeline.summaries import load_scores
from stages.base import REPORTS, RESULTS

WORKSPACE = "workspace"
KINDS = {name: "data" for name in ("raw", "extracted", "poses", "heatmaps", "frames")}
KINDS |= {name: "networks trained again" for name in ("models", "fused")}
Found = TypeVar("Found")


class Revision:
    """A git revision, or the working tree for `workspace`. Raises InputError where something is not there."""

    def __init__(self, name: str):
        from dvc.api import DVCFileSystem  # takes a second to import, which other commands need not wait for

        self.name = name
        self.files = DVCFileSystem(rev=None if name == WORKSPACE else name)
        self.lock = self._get(lambda: self._yaml("dvc.lock")["stages"], "dvc.lock")
        self.params = self._get(lambda: self._yaml("params.yaml"), "params.yaml")

    def results(self) -> dict[str, Results]:
        """Data set -> what was scored on it, of the data sets that params.yaml names and that were evaluated."""
        names = self._evaluated()
        if not names:
            raise InputError(
                f"Expected results, but no data set was evaluated at {self.name}. Run `dvc repro` there and commit dvc.lock."
            )
        return {name: self._get(lambda name=name: self._results(name), RESULTS / name) for name in names}

    def outdated(self) -> list[str]:
        """A note where params.yaml no longer says what dvc.lock recorded of the evaluated data sets and the report."""
        ends = tuple(f"@{name}" for name in self._evaluated())
        recorded = [
            stage.get("params", {}) for name, stage in self.lock.items() if name == "report" or name.endswith(ends)
        ]
        entries = [entry for files in recorded for entry in files.get("params.yaml", {}).items()]
        changed = sorted({key for key, value in entries if _at(self.params, key) != value})
        said = f"{self.name}: params.yaml has changed since `dvc repro` ({', '.join(changed)})"
        return [f"{said}: its results are of the old ones. Run `dvc repro`"] if changed else []

    def curves(self) -> list[dict[str, str]]:
        """The rows of plots/loss.csv; none where the revision's report had no such file."""
        path = (REPORTS / "plots/loss.csv").as_posix()
        return list(csv.DictReader(io.StringIO(self._read(path).decode()))) if self.files.exists(path) else []

    def changed(self, other: "Revision") -> dict[str, list[str]]:
        """Kind of artifact, or code -> paths whose hashes in dvc.lock are not those of another revision."""
        mine, others = self._hashes(), other._hashes()
        found: dict[str, list[str]] = {}
        for path in sorted(path for path in {*mine, *others} if mine.get(path) != others.get(path)):
            top, _, rest = path.partition("/")
            kind = KINDS.get(rest.split("/")[0]) if top == "data" else "code"
            if kind:
                found.setdefault(kind, []).append(path)
        return found

    def changed_params(self, other: "Revision") -> dict[str, tuple]:
        """Dotted key -> value here and there, as `dvc params diff` says."""
        from dvc.repo import Repo

        with Repo() as repo:
            files = repo.params.diff(self.name, other.name).get("diff", {})
        return {
            key: (values.get("old"), values.get("new"))
            for path, keys in files.items()
            if path == "params.yaml"
            for key, values in keys.items()
        }

    def _results(self, dataset: str) -> Results:
        folder = (RESULTS / dataset).as_posix()
        settings = self.lock[f"evaluate@{dataset}"]["params"]["params.yaml"]["evaluate"]
        scores, videos = {}, {}
        for action, facts in json.loads(self._read(f"{folder}/details.json"))["actions"].items():
            scores[action] = load_scores(io.BytesIO(self._read(f"{folder}/actions/{action}.npz")))
            embedded = sorted(self.files.glob(f"{folder}/embeddings/{action}/*/seed_*.npz"))[0]
            with self.files.open(embedded) as file, np.load(file) as arrays:
                names, lengths = arrays["names"].tolist(), np.diff(arrays["offsets"]).tolist()
            videos[action] = tuple(zip(names, lengths, strict=True))[facts["train_videos"] :]
        return Results(scores, videos, (settings["bootstrap_resamples"], settings["seed"]))

    def _hashes(self) -> dict[str, str]:
        """Of every output, and of what comes from outside the graph: code and raw data."""
        stages = self.lock.values()
        entries = [entry for stage in stages for entry in stage.get("outs", ())]
        entries += [
            entry
            for stage in stages
            for entry in stage.get("deps", ())
            if not entry["path"].startswith("data/") or entry["path"].startswith("data/raw/")
        ]
        return {entry["path"]: entry.get("md5") for entry in entries}

    def _evaluated(self) -> list[str]:
        return [name for name in self.params.get("datasets") or {} if f"evaluate@{name}" in self.lock]

    def _yaml(self, path: str) -> dict:
        """As DVC reads it (YAML 1.2), which wrote the values in dvc.lock: 1e-3 is a number."""
        from dvc.utils.serialize import parse_yaml

        return parse_yaml(self._read(path).decode(), path)

    def _read(self, path: str) -> bytes:
        with self.files.open(path) as file:
            return file.read()

    def _get(self, read: Callable[[], Found], what: object) -> Found:
        try:
            return read()
        except Exception as error:  # of git, DVC and its index, which share no class
            raise InputError(
                f"Expected {what} at {self.name}, but got {type(error).__name__}: {error}. If the revision is right, its"
                " artifacts are not in this clone's cache, which holds what was run here: `dvc pull` them from your remote,"
                " or check the revision out, run `dvc repro`, commit, and name that commit."
            ) from None


def _at(tree: object, key: str) -> object:
    """What lies at a dotted key; None where nothing does."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
