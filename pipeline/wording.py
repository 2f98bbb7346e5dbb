"""How reports call systems and metrics, and how they write numbers and tables."""

from collections.abc import Iterable, Sequence

from pipeline.inputs import CONTROLS, OWN, UNTRAINED
from pipeline.table import is_trained, method_and_input

CALLED = {
    OWN: "LA2DS",
    "time_only": "time only (t/T)",
    "raw_pose": "raw pose",
    "dtw": "DTW of raw poses",
    "soft_dtw": "soft-DTW of raw poses",
    "raw_rgb": "raw picture",
    UNTRAINED: "untrained network",
    "majority": "majority class",
}


def systems(names: Iterable[str]) -> dict[str, str]:
    """Name -> label of the systems of a table, what is trained first; the input is told where a method has several."""
    names = list(names)
    found = {name: method_and_input(name) for name in names}
    several = {method for method, _ in found.values() if sum(other == method for other, _ in found.values()) > 1}
    methods = dict.fromkeys(method for name, (method, _) in found.items() if is_trained(name))
    given = dict.fromkeys(method for method, _ in found.values())
    for control in CALLED:
        methods |= dict.fromkeys([control, *(method for method in given if method.startswith(f"{control} "))])
    methods |= given
    return {
        name: CALLED.get(method, method)
        + (f" ({seen})" if method in several or (method not in CONTROLS and seen != "pose2d") else "")
        for wanted in sorted(methods, key=lambda method: method != OWN)
        for name, (method, seen) in found.items()
        if method == wanted
    }


def own(names: Iterable[str]) -> list[str]:
    """The systems that are not controls."""
    return [name for name in names if is_trained(name)]


def learned(label: str) -> bool:
    """Whether a label of `systems` is of one that is no control."""
    controls = tuple(called for name, called in CALLED.items() if name not in (OWN, UNTRAINED))
    return label.split(" ")[0] != UNTRAINED and not label.startswith(controls)


def describe(metric: str) -> tuple[str, int]:
    """What a metric is called, and how many digits of it are shown."""
    kind, _, number = metric.rpartition("_")
    names = {
        "acc": (f"phase accuracy, {number} % of labels", 1),
        "ap": (f"retrieval AP@{number}, %", 1),
        "event_within": (f"events within {number} % of the clip, %", 1),
    }
    whole = {
        "progression": ("phase progression, R²", 3),
        "tau": ("Kendall's tau", 3),
        "event_error": ("event error, % of the clip", 1),
    }
    return whole.get(metric) or names[kind]


def number(score: dict | None, metric: str, interval: bool = True, sign: bool = False) -> str:
    """A score with its interval, or "-"."""
    if score is None:
        return "-"
    digits = describe(metric)[1]
    text = f"{score['value']:{'+' if sign else ''}.{digits}f}"
    if "std_over_seeds" in score:
        text += f" ± {score['std_over_seeds']:.{digits}f}"
    return text + (f" [{score['low']:.{digits}f}, {score['high']:.{digits}f}]" if interval else "")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; a bar or a line break in a cell does not end it."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[" ".join(cell.splitlines()).replace("|", "\\|") for cell in line] for line in lines]
    return "".join("| " + " | ".join(line) + " |\n" for line in cells)


def phase_names(key_events: Sequence[str], num_phases: int) -> list[str]:
    """What the phases of an action are called: by the key event that begins each, by number where there are none."""
    if len(key_events) + 1 < num_phases or not key_events:
        return [f"phase {number + 1}" for number in range(num_phases)]
    events = [name.replace("_", " ") for name in key_events]
    return [f"before {events[0]}", *(f"from {name}" for name in events)]
