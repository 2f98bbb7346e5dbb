"""The scripts in results/ run nothing when imported, and refuse what they do not know in a line."""

import runpy
from pathlib import Path

import pytest
import typer

SCRIPTS = Path(__file__).parents[1] / "results"


@pytest.mark.parametrize(
    "name, arguments, part",
    [
        ("align_confidence", ["none"], "data/poses/none"),
        ("deviations", ["none"], "none"),
        ("deviations", ["none", "test"], "'test'"),
    ],
)
def test_what_is_not_known_is_said_in_a_line(tmp_path, monkeypatch, capsys, name, arguments, part):
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]
    with pytest.raises(typer.Exit) as stopped:
        main(*arguments)
    said = capsys.readouterr().err
    assert (
        stopped.value.exit_code == 1 and said.startswith("error: Expected") and part in said and said.count("\n") == 1
    )
