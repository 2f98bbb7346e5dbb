"""What the commands share: pose stores by name, and tables that are plain text where nobody watches."""

import difflib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.config import InputError
from pipeline.store import check
from stages.base import EXTRACTED, POSES

log = logging.getLogger(__name__)

StoreArgument = Annotated[str, typer.Argument(help="Name of a data set, or the path of a pose store.")]


def find_store(store: str) -> Path:
    """The pose store of a data set, projected if it is there, else as extracted; or the store at a path."""
    places = [POSES / store, EXTRACTED / store, Path(store)]
    for path in places:
        if path.is_dir():
            if path != EXTRACTED / store and path == POSES / store and (EXTRACTED / store).is_dir():
                _warn_if_old(store)
            return path
    known = sorted({path.name for folder in (POSES, EXTRACTED) if folder.is_dir() for path in folder.iterdir()})
    raise InputError(
        f"Expected the name of a data set or the path of a pose store, but got {store!r}."
        f" {nearest(store, known)} If it is new, run `la2ds extract {store}` first."
    )


def _warn_if_old(dataset: str) -> None:
    try:
        check(POSES / dataset, {"extracted": EXTRACTED / dataset})
    except InputError:
        log.warning(
            "%s is older than %s: run `la2ds project %s` to see the new one",
            POSES / dataset,
            EXTRACTED / dataset,
            dataset,
        )


def nearest(name: str, known: list[str]) -> str:
    """A sentence for an error: the known names most like a wrong one."""
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.4) or known[:5]
    return f"Nearest of {len(known)}: {', '.join(close)}." if close else "There is none yet."


def console() -> Console:
    """Standard output. Names may hold brackets and colons, which are no markup here."""
    found = Console(markup=False, emoji=False, highlight=False)
    return found if found.is_terminal else Console(markup=False, emoji=False, highlight=False, width=160)


def print_table(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence], left: int = 1) -> None:
    """A titled table; the first `left` columns are words, the others numbers."""
    table = Table(box=SIMPLE_HEAD if out.is_terminal else None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    out.print(f"\n{title}", style="bold")
    out.print(table)
