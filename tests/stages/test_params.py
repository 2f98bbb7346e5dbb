from pathlib import Path

import pytest
import yaml

from pipeline.config import InputError
from pipeline.datasets.registry import parse_source
from pipeline.evaluation import EvaluateConfig
from pipeline.frames import FramesConfig
from pipeline.heatmap import RenderConfig
from pipeline.methods import resolve
from pipeline.projection import ProjectConfig
from pipeline.training import FusionConfig, TrainConfig
from stages.base import DatasetEntry, Params
from stages.systems import systems_of
from stages.table import TableEntry

ROOT = Path(__file__).parents[2]
PARAMS = Params(ROOT / "params.yaml")


@pytest.mark.parametrize(
    "preset, epochs, batch_size, rate",
    [("paper", 200, 64, 3e-3), ("paper_h2o", 100, 32, 1.5e-4), ("paper_ikea_asm", 100, 4, 1.875e-3)],
)
def test_the_paper_presets_are_the_papers(preset, epochs, batch_size, rate):
    config = PARAMS.section(f"presets.{preset}", TrainConfig)
    assert (config.epochs, config.batch_size, config.passes_per_epoch) == (epochs, batch_size, 50)
    assert config.rate(0) == pytest.approx(rate)
    assert config.milestones == (30, 40, 50, 60, 70, 80, 90, 100) and config.gradient_clip == 0.5
    same = TrainConfig()
    assert (config.model, config.augmentation, config.objective) == (same.model, same.augmentation, same.objective)


@pytest.mark.parametrize(
    "key, kind",
    [("project", ProjectConfig), ("render", RenderConfig), ("frames", FramesConfig), ("evaluate", EvaluateConfig)],
)
def test_every_setting_stands_in_params_yaml_with_its_default(key, kind):
    assert set(PARAMS.content[key]) == set(kind.model_fields)
    assert PARAMS.section(key, kind) == kind()


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_presets_spell_out_every_setting(preset):
    def keys(model):
        return {name: keys(value) if hasattr(value, "model_fields_set") else None for name, value in model}

    def given(node):
        return {name: given(value) if isinstance(value, dict) else None for name, value in node.items()}

    content = PARAMS.content["presets"][preset]
    assert given(content | {"modalities": None}) == keys(TrainConfig())
    assert set(content["modalities"]) == {"rgb", "flow"}
    assert set(PARAMS.content["fusion"][preset]) == set(FusionConfig.model_fields)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"wieght_decay": 0.1}, "presets.mine.wieght_decay is wrong in {path}: there is no such setting; did you mean 'weight_decay'?"),
        ({"model": {"zzz": 1}}, "presets.mine.model.zzz is wrong in {path}: there is no such setting; there are ['attention',"),
        ({"epochs": "many"}, "presets.mine.epochs is wrong in {path}: Input should be a valid integer, unable to parse string as an integer, got 'many'"),
        ({"objective": {"name": "lav", "gama": 1}}, "presets.mine.objective is wrong in {path}: gama: there is no such setting; did you mean 'gamma'?"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_its_place_and_what_there_is(tmp_path, changes, told):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"presets": {"mine": changes}}))
    with pytest.raises(InputError) as caught:
        Params(path).section("presets.mine", TrainConfig)
    assert told.format(path=path) in str(caught.value)


@pytest.mark.parametrize("rows", [None, {"X": (("pose2d",),)}])
@pytest.mark.parametrize(
    "section, wrong, place",
    [
        ("presets", {"mine": {"epoch": 1}}, "presets.mine.epoch"),
        ("presets", {"mine": {"seeds": [1, 1]}}, "presets.mine.seeds"),
        ("presets", {"mine": {"modalities": {"rgb": {"batch_size": 0}}}}, "presets.mine"),
        ("fusion", {"mine": {"epoch": 1}}, "fusion.mine.epoch"),
        ("methods", {"X": {"epoch": 1}}, "methods.X.epoch"),
        ("methods", {"X": {"fusion": {"epoch": 1}}}, "methods.X.fusion.epoch"),
    ],
)
def test_a_wrong_setting_is_told_with_the_section_in_which_it_stands(tmp_path, section, wrong, place, rows):
    entry = {"preset": "mine", "inputs": [["pose2d"]], "methods": {"X": [["pose2d"]]}, "source": {}}
    content = {"datasets": {"d": entry}, "presets": {"mine": {}}, "fusion": {"mine": {}}, "methods": {"X": {}}}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    assert [system.name for system in systems_of(Params(path), "d", rows=rows, stage_two=True)]
    path.write_text(yaml.safe_dump(content | {section: wrong}))
    with pytest.raises(InputError, match=f"but {place} is wrong in {path}: "):
        systems_of(Params(path), "d", rows=rows, stage_two=True)


def test_every_preset_has_its_fusion():
    assert set(PARAMS.content["fusion"]) == set(PARAMS.content["presets"])
    for name in PARAMS.content["presets"]:
        PARAMS.section(f"fusion.{name}", FusionConfig)
        assert PARAMS.section(f"presets.{name}", TrainConfig).of("rgb").model.patch_px in (8, 16)


def test_the_entries_of_the_readme_are_valid():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(part for part in readme.split("```yaml\n")[1:] if part.startswith("datasets:")).split("```")[0]
    entries = yaml.safe_load(block)["datasets"]
    assert len(entries) >= 3
    for name, entry in entries.items():
        assert set(entry) == {"preset", "inputs", "methods", "source"}  # DVC asks for each
        assert entry["preset"] in PARAMS.content["presets"]
        parse_source(DatasetEntry(**entry).source, name)


def test_every_row_of_every_table_is_a_method_with_valid_settings():
    tables = {name: PARAMS.section(f"tables.{name}", TableEntry) for name in PARAMS.content["tables"]}
    named = {method for table in tables.values() for method in table.rows}
    assert named == {"la2ds", *PARAMS.content["methods"]}
    for preset in PARAMS.content["presets"]:
        sections = PARAMS.content["presets"][preset], PARAMS.content["methods"]
        for table in tables.values():
            systems = resolve(*sections, table.rows, PARAMS.content["fusion"][preset])
            assert all(each.config.of(name) for each in systems for name in each.modalities)
