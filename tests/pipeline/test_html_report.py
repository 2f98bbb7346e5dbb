import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import zarr

from pipeline.clip import Clip
from pipeline.crop import crop_boxes
from pipeline.evaluation import EvaluateConfig, evaluate, evaluate_majority
from pipeline.html_report import Run, write_page
from pipeline.inputs import label
from pipeline.metrics.clips import labelled_clips
from pipeline.metrics.controls import time_only
from pipeline.report import Reported
from pipeline.sequence import from_clips, write_sequences
from pipeline.skeleton import load_skeleton
from pipeline.store import content_hash, finish, write_json
from pipeline.summaries import fusion_minus_parts, mean_over_actions, minus, rounded, summaries
from pipeline.table import ALL_ACTIONS, system
from pipeline.tables import tables

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser_only = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


def clips_of(action, skeleton, labelled, rng):
    """Six short clips of points that go up and come down again; the second event is the top."""
    for n in range(6):
        length = int(rng.integers(14, 22))
        way = np.sin(np.linspace(0, np.pi, length))[:, None]
        joints = rng.normal(60, 20, (1, skeleton.num_joints, 2)) + np.stack([0 * way, -30 * way], axis=-1)
        confidence = (rng.random((length, skeleton.num_joints)) > 0.05).astype(float)
        events = (3, length // 2) if labelled else ()
        yield Clip(f"{action}_{n}", action, "val" if n > 2 else "train", joints, confidence, 25.0, events=events)


def make(path, name, actions=("squat",), inputs=(("pose2d",),), seeds=(0,), skeleton="coco_17", labelled=True):
    """A small data set, with results."""
    rng, skeleton = np.random.default_rng(0), load_skeleton(skeleton)
    clips = [clip for action in actions for clip in clips_of(action, skeleton, labelled, rng)]
    names = {action: ("start <b>", "top_reached") if labelled else () for action in actions}
    told = {"poses": "estimated", "labels": "derived" if labelled else "none", "provenance": {"estimator": "toy"}}
    return with_results(
        path, from_clips(clips, dataset=name, skeleton=skeleton, event_names=names, **told), inputs, seeds
    )


def with_results(path, sequences, inputs, seeds):
    """Results as the stages leave them, of features that go up and down with the clip, and noise."""
    name, names = sequences.dataset, sequences.event_names
    write_sequences(sequences, path / "poses" / name)
    group = zarr.create_group(path / "heatmaps.partial" / name, zarr_format=3)
    group.create_array("boxes", data=crop_boxes(sequences.joints, sequences.confidence, sequences.offsets))
    group.update_attributes({"la2ds_kind": "heatmaps"})
    finish(path / "heatmaps.partial" / name, path / "heatmaps" / name, {"poses": path / "poses" / name})
    scores, facts = {}, {}
    for action in names:
        train, val = (labelled_clips(sequences, sequences.where(action, split)) for split in ("train", "val"))
        config = EvaluateConfig(bootstrap_resamples=20, retrieval_k=(5,), label_fractions=(1.0,))

        def score(features):
            of_train, of_val = (replace(c, features=features(c)) for c in (train, val))  # noqa: B023
            return evaluate(of_train, {"plain": of_val, "clock_broken": of_val}, config)  # noqa: B023

        found = {("time_only", 0): score(lambda c: time_only(c.lengths))}
        for modalities in inputs:
            for seed in seeds:
                noise = np.random.default_rng(seed)

                def features(c, noise=noise):
                    way = np.concatenate([np.sin(np.linspace(0, np.pi, n)) for n in c.lengths])
                    return np.stack([way, time_only(c.lengths)[:, 0]], 1) + noise.normal(0, 0.1, (len(way), 2))

                found[system("la2ds", label(modalities)), seed] = score(features)
                folder = path / "results" / name / "embeddings" / action / system("la2ds", label(modalities))
                folder.mkdir(parents=True, exist_ok=True)
                every = {"names": train.names + val.names, "features": np.concatenate([features(train), features(val)])}
                offsets = np.concatenate([train.offsets, train.offsets[-1] + val.offsets[1:]])
                np.savez(folder / f"seed_{seed}.npz", offsets=offsets, **{k: np.array(v) for k, v in every.items()})
        found["majority", 0] = evaluate_majority(train, {"plain": val, "clock_broken": val}, config)
        scores[action] = {key: evaluation.scores for key, evaluation in found.items()}
        facts[action] = {
            "train_videos": len(train),
            "val_videos": len(val),
            "key_events": list(names[action]),
            "label_order": list(train.names),
            "methods": {f"{system} seed {seed}": each.details for (system, seed), each in found.items()},
        }
    if len(names) > 1:
        scores[ALL_ACTIONS] = mean_over_actions(scores)[0]
    details = {
        "inputs": [label(modalities) for modalities in inputs],
        "systems": [system("la2ds", label(modalities)) for modalities in inputs],
        "synthetic": False,
        "poses": sequences.poses,
        "labels": sequences.labels,
        "left_out": {},
        "scores": {action: summaries(each) for action, each in scores.items()},
        "minus_time_only": {action: minus(each, "time_only") for action, each in scores.items()},
        "fusion_minus_parts": {action: fusion_minus_parts(each) for action, each in scores.items()},
        "actions": facts,
        "notes": ["only 3 validation videos"],
    }
    columns = ("action", "method", "input", "seed", "epoch", "loss")
    networks = [
        (action, "la2ds", label(modalities), seed) for action in names for modalities in inputs for seed in seeds
    ]
    curves = [dict(zip(columns, (*network, epoch, 9 - epoch), strict=True)) for network in networks for epoch in (0, 1)]
    reported = Reported(name, rounded(details), sequences, curves, None, path / "results" / name)
    outputs = {"project": path / "poses" / name, "render": path / "heatmaps" / name, "train": path / "models" / name}
    return reported, Run(outputs, "preset: quick\n")


def write(path, *made):
    """The page of what `make` made."""
    reported, runs = zip(*made, strict=True)
    write_page(
        reported, dict(zip([each.name for each in reported], runs, strict=True)), path / "timings", path / "r.html"
    )
    return path / "r.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two data sets: two actions and all kinds of inputs and seeds; one action of unlabelled hands without 2D poses."""
    path = tmp_path_factory.mktemp("page")
    inputs = (("pose2d",), ("rgb",), ("pose2d", "rgb"))
    first = make(path, "first", ("squat", "jump"), inputs, seeds=(0, 1))
    second = make(path, "second", ("wave",), (("rgb",),), skeleton="hands_42", labelled=False)
    (path / "timings").mkdir()
    machine = {"cpu": "toy", "cores": 2, "ram_gib": 4.0, "gpu": None, "python": "3.11", "torch": None, "numpy": "2"}
    for stage, output in (("project", content_hash(path / "poses" / "first")), ("render", "of another run")):
        record = {"output": output, "seconds": 12.5, "finished": "2026-01-02T03:04:05+00:00", **machine}
        write_json(path / "timings" / f"{stage}_first.json", record)
    return write(path, first, second), first[0], second[0]


class Outline(HTMLParser):
    """Headings with their levels, tables as lists of rows, alternative texts."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.tables, self.alts, self.open = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        attrs = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.headings.append((int(tag[1]), ""))
        if tag == "caption":
            self.caption = ""
        if tag == "tr":
            self.tables.setdefault(self.caption, []).append([])
        if tag in ("td", "th"):
            assert tag == "td" or attrs["scope"] in ("row", "col", "rowgroup")
            self.tables[self.caption][-1].append("")
        if tag == "img":
            self.alts.append(attrs["alt"])
        if "aria-label" in attrs:
            self.alts.append(attrs["aria-label"])

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif self.open and re.fullmatch(r"h\d", self.open[-1]):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)
        elif set(self.open) & {"td", "th"}:
            self.tables[self.caption][-1][-1] += data


def ungrouped(rows, header):
    """The rows as Markdown has them: the name of a group, alone in a row of the page, before each row of it."""
    group = []
    for row in rows:
        if row in (header, header[1:]):
            group = []
            yield header
        elif len(row) == 1 < len(header):
            group = row
        else:
            yield [*group, *row]


def test_the_page_has_the_tables_of_the_markdown(page):
    path, first, second = page
    found = Outline(path.read_text())
    expected = {}
    for reported in (first, second):
        for group in tables(reported.details, None).values():
            for table in group:
                expected.setdefault(table.title, []).extend([table.header, *table.rows])
    for title, rows in expected.items():
        assert [*ungrouped(found.tables[title], rows[0])] == rows, title
    assert "Headline (mean)" in found.tables and "Headline (wave)" in found.tables
    assert any("±" in cell for row in found.tables["Headline (mean)"] for cell in row)
    # Each method once below each metric, whose name stands above in a row of its own.
    rows = found.tables["Headline (mean)"]
    assert rows[0][0] == "method" and rows[1] == ["event error, % of the clip"]
    assert [row[0] for row in rows].count("LA2DS (pose2d+rgb)") == 2


def test_headings_do_not_skip_a_level_and_every_picture_says_what_is_seen(page):
    found = Outline(page[0].read_text())
    levels = [level for level, _ in found.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [text for level, text in found.headings if level == 2][:2] == ["first", "second"]
    assert all(len(text) > 5 for text in found.alts)
    assert any("poses of squat_" in text and "frames 0, " in text for text in found.alts)


def test_names_of_events_are_text_not_markup(page):
    text = page[0].read_text()
    assert "before start &lt;b&gt;" in text and "start <b>" not in text


def test_a_stage_that_did_not_make_what_is_there_was_not_run_here(page):
    rows = Outline(page[0].read_text()).tables["Time per stage"]
    assert ["project", "12.5", "2026-01-02 03:04 UTC", "1"] in rows
    assert ["render", "-", "not run here", "-"] in rows and ["train", "-", "output not here", "-"] in rows


def test_unlabelled_videos_are_ranked_by_tau(page):
    text = page[0].read_text()
    second = text[text.index('<h2 id="d2">') :]
    assert "Best of 6 pairs: Kendall" in second and "Confusion of phases" not in second
    assert "✗" not in second and "Coloured by phase" not in second and "the middle of the clip" in second


def test_the_same_results_give_the_same_page(page, tmp_path):
    made = make(tmp_path, "again")
    assert write(tmp_path, made).read_bytes() == write(tmp_path, made).read_bytes()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def open_page(browser, path, width, scheme):
    """The page with everything unfolded and every chart drawn, and what the browser complained of or asked for."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints, asked = [], []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    for number in range(tab.locator(".chart").count()):
        chart = tab.locator(".chart").nth(number)
        chart.scroll_into_view_if_needed()
        chart.locator("svg").wait_for()
    return tab, complaints, asked


@browser_only
@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_a_browser_shows_it_all_without_errors_or_network(browser, page, width, scheme):
    tab, complaints, asked = open_page(browser, page[0], width, scheme)
    assert complaints == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert tab.locator(".chart svg").count() == tab.locator(".chart").count() > 10
    rows = tab.locator("table", has=tab.get_by_text("Headline (mean)")).locator("tbody tr:has(td)")
    expected = tables(page[1].details, None)["headline"][0].rows
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == [row[1] for row in expected]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    unseen = "[...document.images].filter((each) => !each.complete || !each.naturalWidth).length"
    assert tab.evaluate(unseen) == 0
    dark = "getComputedStyle(document.body).backgroundColor"
    assert (tab.evaluate(dark) == "rgb(255, 255, 255)") == (scheme == "light")
    tab.close()


@browser_only
def test_the_button_turns_the_theme_and_the_charts_with_it(browser, page):
    tab, complaints, _ = open_page(browser, page[0], 1280, "light")
    label = tab.locator(".chart svg text").first
    before = label.get_attribute("fill")
    tab.get_by_role("button", name="Light or dark").press("Enter")
    tab.wait_for_function(f"document.querySelector('.chart svg text')?.getAttribute('fill') !== '{before}'")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert complaints == []
    tab.close()


@browser_only
def test_of_two_turns_of_the_theme_the_last_one_counts(browser, page):
    """Though the first chart of the first turn takes longer than all that follows."""
    tab, complaints, _ = open_page(browser, page[0], 1280, "light")
    label = tab.locator(".chart svg text").first
    before = label.get_attribute("fill")
    tab.evaluate("""() => {
      const embed = window.vegaEmbed;
      const late = new Promise((resolve) => (window.release = resolve));
      let begun = 0;
      window.ended = 0;
      window.vegaEmbed = async (...all) => {
        if (!begun++) await late;
        const view = await embed(...all);
        window.ended++;
        return view;
      };
    }""")
    button, num_charts = tab.get_by_role("button", name="Light or dark"), tab.locator(".chart").count()
    button.click()
    button.click()
    tab.wait_for_function(f"window.ended >= {2 * num_charts - 2}")
    tab.evaluate("window.release()")
    tab.wait_for_function(f"window.ended === {2 * num_charts}")
    assert label.get_attribute("fill") == before and complaints == []
    tab.close()


@browser_only
def test_before_printing_every_chart_that_is_unfolded_is_drawn(browser, page):
    tab = browser.new_page(viewport={"width": 1280, "height": 600})
    tab.goto(page[0].as_uri())
    unfolded = "[...document.querySelectorAll('.chart')].filter((each) => each.clientWidth)"
    assert tab.evaluate(f"{unfolded}.some((each) => !each.querySelector('svg'))")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.wait_for_function(f"{unfolded}.every((each) => each.querySelector('svg'))")
    tab.close()


def test_specs_hold_no_address_to_load_from(page):
    specs = re.findall(r'<script type="application/json">(.*?)</script>', page[0].read_text(), re.DOTALL)
    assert len(specs) > 10
    for spec in map(json.loads, specs):
        assert "values" in spec["data"] and "url" not in json.dumps(spec["data"])
        assert spec["description"]
