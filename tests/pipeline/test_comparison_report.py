import numpy as np
import pytest

from pipeline.comparison import BETTER, MISSING, NOISE, ONE_SEED, SAME, Row
from pipeline.comparison_figures import difference_bars, loss_pairs
from pipeline.comparison_report import Comparison, markdown, page
from pipeline.figures import plt


def row(**changes):
    base = {
        "dataset": "toy", "action": "mean", "system": "la2ds", "metric": "event_error", "variant": "plain",
        "before": 10.0, "after": 8.0, "difference": -2.0, "low": -3.0, "high": -1.0, "over_seeds": True,
        "seeds": (3, 3), "verdict": BETTER,
    }  # fmt: skip
    return Row(**base | changes)


CLOCK = row(system="time_only", before=15.0, after=15.0, difference=0.0, low=0.0, high=0.0, seeds=(1, 1), verdict=None)
ACTION = row(action="squat", verdict=None)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_markdown_puts_controls_beside_and_folds_the_rest():
    comparison = Comparison("main", "new", [CLOCK, row(), ACTION], ["toy: a note"], {"render.sigma_px": (0.6, 0.8)})
    text = markdown(comparison)
    assert text.startswith("# main → new: 1 better\n")
    ours = "| event error, % of the clip | LA2DS | plain | 10.0 | 8.0 | -2.0 [-3.0, -1.0] | better |"
    clock = "| event error, % of the clip | time only (t/T) | plain | 15.0 | 15.0 | +0.0 [0.0, 0.0] |  |"
    assert 0 < text.index(ours) < text.index(clock) < text.index("<details><summary>toy: squat</summary>")
    assert "Training seeds: 3 before, 3 after." in text and "Note: toy: a note." in text
    assert "| `render.sigma_px` | 0.6 | 0.8 |" in text


def test_what_one_seed_cannot_tell_is_said_and_a_lacking_side_is_a_dash():
    lacking = row(system="la2ds_rgb", before=None, difference=None, low=None, high=None, over_seeds=False, verdict=None)
    text = markdown(Comparison("a", "b", [row(over_seeds=False, seeds=(1, 1), verdict=ONE_SEED), lacking]))
    assert "| -2.0 [-3.0, -1.0] (videos only) | cannot tell (one seed) |" in text
    assert "| LA2DS (rgb) | plain | - | 8.0 | - |  |" in text


def test_seeds_of_a_system_that_came_or_went_are_told_apart():
    judged = [
        row(),
        row(metric="tau", seeds=(0, 3), verdict=MISSING),
        row(system="TCC", seeds=(3, 0), verdict=MISSING),
        row(system="Mine", seeds=(0, 2), verdict=MISSING),
    ]
    told = (
        "Training seeds: LA2DS: 3 before, 3 after; TCC: 3 before, none after (gone); Mine: 2 after, none before (new)."
    )
    assert told in markdown(Comparison("a", "b", judged))


def test_a_bar_or_a_line_break_does_not_split_a_cell():
    text = markdown(Comparison("a", "b", [row()], params={"x": ("(train|val)", "one\ntwo")}))
    assert "| `x` | (train\\|val) | one two |\n" in text


def test_chance_is_told_of_the_verdicts_that_can_be_wrong_alone():
    judged = [row(), row(verdict=NOISE), *(row(verdict=verdict) for verdict in (SAME, ONE_SEED, MISSING))]
    assert "The 2 verdicts better, worse or noise" in markdown(Comparison("a", "b", judged))
    assert "one of twenty" not in markdown(Comparison("a", "b", judged[2:]))


def test_the_page_escapes_what_it_is_given_and_needs_no_network():
    curve = [{"facet": "toy: squat, pose2d", "seed": "0", "epoch": str(e), "loss": str(9.0 - e)} for e in (1, 2)]
    found = page(Comparison("a<b", "c", [row()], params={"x": ("<i>", 1)}, curves={"a<b": curve, "c": curve}))
    assert "a&lt;b" in found and "<td>&lt;i&gt;</td>" in found and "<i>" not in found
    assert found.count("<img alt=") == 2 and "http" not in found and "<script" not in found
    assert '<td class="better">better</td>' in found


def test_the_picture_shows_each_difference_with_its_interval():
    _, axes = difference_bars([row(), row(variant="clock_broken", verdict=NOISE, over_seeds=False, low=-5.0, high=1.0)])
    first, _, second, _, zero = axes[0, 0].lines
    assert list(first.get_xdata()) == [-3, -1] and first.get_linestyle() == "-"
    assert list(second.get_xdata()) == [-5, 1] and second.get_linestyle() == "--"
    assert list(zero.get_xdata()) == [0, 0]


def test_losses_of_both_revisions_share_a_panel():
    rows = [{"facet": f, "seed": s, "epoch": "1", "loss": "5"} for f in ("one", "two") for s in ("0", "1")]
    _, axes = loss_pairs({"before": rows, "after": rows})
    assert [ax.get_title() for ax in axes.flat if ax.get_visible()] == ["one", "two"]
    assert len(axes[0, 0].lines) == 4 and np.isclose(axes[0, 0].lines[0].get_ydata(), 5).all()
