"""Train a small openpifpaf network on the training videos of a film."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from pipeline.estimators.openpifpaf_fit import FitConfig, fit
from pipeline.progress import progress_bar
from stages.base import PARAMS, Params, ParamsOption, size_of, stage, summary

app = typer.Typer(add_completion=False)


@app.command("fit", help=__doc__)
@stage
def main(
    name: Annotated[str, typer.Argument(help="Name of the film: its key below `films` in params.yaml.")],
    params: ParamsOption = PARAMS,
) -> None:
    started = time.monotonic()
    config = Params(params).section(f"films.{name}.fit", FitConfig)
    folder = Path("data") / "raw" / name
    with progress_bar("steps") as progress:
        done = fit(folder / "film", folder / "openpifpaf", config, progress)
    held_out = f"{np.mean(list(done['pck'].values())):.3f}" if done["pck"] else "none"
    summary(
        started,
        film=name,
        epochs=len(done["loss"]),
        loss=f"{done['loss'][-1]:.1f}",
        pck_held_out=held_out,
        size=size_of(folder / "openpifpaf"),
    )


if __name__ == "__main__":
    app()
