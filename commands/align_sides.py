"""What `la2ds align` is given, names and paths, as embedded clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.embedded import embedded_clips
from pipeline.config import InputError
from pipeline.datasets.registry import parse_source
from pipeline.datasets.videos import VideosConfig
from pipeline.embedded import EmbeddedAction
from pipeline.extraction import Run
from pipeline.inputs import OWN
from pipeline.modalities.stores import Paths
from pipeline.performance import Performance, known, new
from pipeline.projection import ProjectConfig
from pipeline.store import check
from pipeline.table import system
from pipeline.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from stages.base import DETECTIONS, EXTRACTED, FRAMES, FUSED, HEATMAPS, MODELS, POSES, RESULTS, Params


@dataclass(frozen=True, eq=False)
class Sides:
    """An embedded action, and how videos that are not of it are estimated."""

    embedded: EmbeddedAction
    dataset: str
    params: Params
    estimator: str | None

    @classmethod
    def load(
        cls,
        params: Path,
        dataset: str | None,
        action: str | None,
        seen: str | None,
        seed: int | None,
        estimator: str | None,
        given: Sequence[str],
    ) -> "Sides":
        """given: what is to be aligned; a sequence of the data set tells the action."""
        settings = Params(params)
        if dataset is None and len(settings.datasets) != 1:
            raise InputError(f"Expected one data set of {settings.datasets}, but got none. Name it: --dataset NAME.")
        dataset = dataset or settings.datasets[0]
        settings.dataset(dataset)
        return cls(embedded_clips(dataset, action, seen, seed, given), dataset, settings, estimator)

    @property
    def facts(self) -> dict:
        """Which network embedded."""
        found = self.embedded
        return {"dataset": self.dataset, "action": found.action, "input": found.input, "seed": found.seed}

    def clip(self, given: str) -> Performance:
        """A sequence by its name, or a video by its path."""
        names = self.embedded.clips.names
        if given in names:
            return known(self.embedded, names.index(given))
        if not Path(given).exists():
            if Path(given).suffix.lower() in VIDEO_SUFFIXES:
                raise InputError(f"Expected a video, but there is none at {given}. Correct the path.")
            self.embedded.find(given)
        return self._new([Path(given)], strict=True)[0]

    def others(self, a: str, split: str) -> list[Performance]:
        """Every other sequence of a split."""
        if split not in ("train", "val", "both"):
            raise InputError(f"Expected train, val or both, but got {split!r} for --split. Name one of these.")
        chosen = range(len(self.embedded.clips)) if split == "both" else self.embedded.of_split(split)
        found = [known(self.embedded, i) for i in chosen if self.embedded.clips.names[i] != a]
        if not found:
            raise InputError(f"Expected other sequences of split {split}, but got none beside {a!r}. Name another.")
        return found

    def is_folder(self, given: str) -> bool:
        """Whether it is a folder of videos; a folder of images is one video."""
        path = Path(given)
        return given not in self.embedded.clips.names and path.is_dir() and not _has_images(path)

    def folder(self, given: str) -> list[Performance]:
        """The videos in a folder; those that cannot be used are left out with a warning."""
        inside = sorted(path for path in Path(given).iterdir() if path.name[0] != ".")
        videos = [path for path in inside if path.suffix.lower() in VIDEO_SUFFIXES or _has_images(path)]
        if not videos:
            raise InputError(f"Expected videos ({', '.join(VIDEO_SUFFIXES)}), but got none in {given}. Name another.")
        return self._new(videos, strict=False)

    def _new(self, videos: list[Path], strict: bool) -> list[Performance]:
        found, name = self.embedded, self.dataset
        # Or its networks would not be those that embedded the known clips.
        check(RESULTS / name, {"models": MODELS / name, "fused": FUSED / name})
        stage = FUSED if "+" in found.input else MODELS
        return new(
            {path.as_posix(): path for path in videos},
            found,
            self._source(),
            self.params.section("project", ProjectConfig),
            stage / name / found.action / system(OWN, found.input) / f"seed_{found.seed}",
            Paths(POSES / name, HEATMAPS / name, FRAMES / name, EXTRACTED / name),
            Run(DETECTIONS, strict=strict),
        )

    def _source(self) -> VideosConfig:
        if self.estimator:
            entry = {"reader": "videos", "root": ".", "action": self.embedded.action, "val_fraction": 0.5}
            return parse_source(entry | {"estimator": {"name": self.estimator}}, "--estimator")
        source = self.params.dataset(self.dataset).source
        if source.get("reader") != "videos":
            raise InputError(
                f"Expected a data set made from videos, whose estimator can find the people in another one, but {self.dataset}"
                f" has reader {source.get('reader')!r}. Name an estimator of the same skeleton: --estimator mediapipe."
            )
        return parse_source(source, f"datasets.{self.dataset}.source of {self.params.path}")


def _has_images(path: Path) -> bool:
    return path.is_dir() and any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())
