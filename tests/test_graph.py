"""The graph's own promises: each stage depends on exactly the code it imports, and on nothing of params.yaml it does not read."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pipeline.code import imports, reach

ROOT = Path(__file__).parents[1]
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# Files that are read, not imported by name: by the readers, which name skeletons, by the report, and objectives by theirs.
READS = {
    "pipeline/objectives/registry.py": ["pipeline/objectives"],
    "pipeline/datasets/registry.py": ["pipeline/skeletons"],
    "pipeline/shaded_person.py": ["pipeline/skeletons"],
    "pipeline/estimators/openpifpaf_fit.py": ["pipeline/skeletons"],
    "pipeline/report.py": ["pipeline/paper_results.json"],
    "pipeline/method_tables.py": ["pipeline/paper_results.json"],
    "pipeline/html_report.py": ["pipeline/page"],
}


def closure(stage: str) -> set[str]:
    files = {file.relative_to(ROOT).as_posix() for file in reach(ROOT / f"stages/{stage}.py")}
    files |= {read for module, extra in READS.items() if module in files for read in extra}
    if "pipeline/objectives" in files:
        files = {f for f in files if not f.startswith("pipeline/objectives/")}
    # An __init__ that only holds a docstring computes nothing.
    return {f for f in files if not f.endswith("__init__.py")} - {f"stages/{stage}.py"} | {f"stages/{stage}.py"}


@pytest.mark.parametrize("stage", GRAPH)
def test_code_dependencies_are_exactly_the_imports(stage):
    definition = GRAPH[stage].get("do", GRAPH[stage])
    declared = {dep for dep in definition["deps"] if dep.startswith(("pipeline/", "stages/"))}
    assert declared == closure(stage)
    for listed in (definition["deps"], definition.get("params", [])):
        assert len(set(listed)) == len(listed)


def test_packages_hold_no_code_in_their_init():
    for file in [*ROOT.glob("pipeline/**/__init__.py"), ROOT / "stages/__init__.py", ROOT / "commands/__init__.py"]:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), file


def test_imports_go_one_way():
    for file in ROOT.glob("pipeline/**/*.py"):
        found = {path.relative_to(ROOT).as_posix() for path in imports(file)}
        assert not any(path.startswith(("stages/", "commands/")) for path in found), file
        for folder in ("models", "objectives", "metrics"):
            if f"pipeline/{folder}/" in file.as_posix():
                others = ("datasets", *({"models", "objectives", "metrics"} - {folder}))
                assert not any(path.startswith(f"pipeline/{other}/") for other in others for path in found), file


def test_whatever_draws_is_told_how():
    """`pipeline.figures` tells matplotlib to take names as text; a module that never imports it would not know."""
    drawing = [file for file in ROOT.glob("pipeline/*.py") if "matplotlib" in file.read_text(encoding="utf-8")]
    assert len(drawing) > 8
    assert all(ROOT / "pipeline/figures.py" in reach(file) for file in drawing)


def test_every_stage_is_described_and_heavy_ones_are_cached():
    for name, stage in GRAPH.items():
        definition = stage.get("do", stage)
        assert definition["desc"]
        cached = [
            not (isinstance(out, dict) and next(iter(out.values())).get("cache") is False) for out in definition["outs"]
        ]
        assert all(cached) or name == "report"


def test_what_the_code_imports_is_installed_without_the_test_tools():
    """`make repro` installs the dependencies alone; a module that only the tests' extra brings would stop it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {re.match(r"[\w-]+", line).group().lower() for line in project["dependencies"]}
    named = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn", "yaml": "pyyaml"}
    named |= {"vl_convert": "vl-convert-python", "markdown_it": "markdown-it-py", "pydantic_core": "pydantic"}
    own = {"pipeline", "stages", "commands"}
    # These come with `make`, `make openpifpaf` and an extra; who lacks one is told how to get it.
    own |= {
        "mediapipe",
        "openpifpaf",
        "torchvision",
        "onnxruntime",
        "distributed",
        "ezc3d",
        "movement",
        "smplx",
        "timm",
    }
    for file in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py"), *ROOT.glob("commands/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            for name in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - own:
                assert named.get(name, name) in listed, f"{file.name} imports {name}"
