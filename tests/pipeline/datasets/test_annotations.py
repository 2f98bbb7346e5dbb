import json

import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.datasets.annotations import read_annotations
from pipeline.datasets.events import in_frames

PHASES = ["down", "bottom", "up"]

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/My%20videos/squat.01.mp4" MIME_TYPE="video/mp4"/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1200"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1500"/>
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="phase">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE>up</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a0" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>down</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE> bottom </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="empty"/>
</ANNOTATION_DOCUMENT>
"""
TEXT_BY_TIER = (
    '"#file:///C:/videos/squat.mp4 -- offset: 0"\n'
    "Begin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - hh:mm:ss.ms\tEnd Time - ss.msec\tphase\tnote\n"
    "00:00:00.000\t0.0\t00:00:01.200\t1.2\tdown\t\n"
    "00:00:01.200\t1.2\t00:00:01.500\t1.5\tbottom\tdeep\n"
)
TEXT_BY_ROW = (
    "Tier\tParticipant\tBegin Time - msec\tEnd Time - msec\tAnnotation\tFile Path\n"
    "phase\tX\t0\t1200\tdown\t/data/a.eaf\n"
    "note\tX\t0\t1200\tslow\t/data/a.eaf\n"
    "phase\tX\t1200\t1500\tup\t/data/a.eaf\n"
    "phase\tX\t700\t1500\tbottom\t/data/b.eaf\n"
)
ATTRIBUTES = {
    "1": {"aname": "phase", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "down", "1": "bottom", "2": "up"}},
    "2": {"aname": "note", "anchor_id": "FILE1_Z2_XY0", "type": 1, "options": {}},
}
VIA = {
    "project": {"pid": "__VIA_PROJECT_ID__", "vid_list": ["1", "2"]},
    "attribute": ATTRIBUTES,
    "file": {"1": {"fid": "1", "fname": "a.mp4", "type": 4}, "2": {"fid": "2", "fname": "b.mp4", "type": 4}},
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
    "metadata": {
        "1_x": {"vid": "1", "flg": 0, "z": [1.25, 2], "xy": [], "av": {"1": "1"}},
        "1_y": {"vid": "1", "flg": 0, "z": [0, 1.25], "xy": [], "av": {"1": "0"}},
        "1_box": {"vid": "1", "flg": 0, "z": [0.5], "xy": [2, 1, 1, 5, 5], "av": {"1": "2"}},
        "2_z": {"vid": "2", "flg": 0, "z": [0.5], "xy": [], "av": {"1": "2"}},
    },
}
VIA_CSV = (
    "# Exported using VGG Image Annotator\n"
    f"# ATTRIBUTE = {json.dumps(ATTRIBUTES)}\n"
    "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
    '"1_y","[""a.mp4""]",0,"[0,1.25]","[]","{""1"":""0""}"\n'
    '"1_x","[""a.mp4""]",0,"[1.25,2]","[]","{""1"":""1"",""2"":""deep""}"\n'
    '"2_z","[""b.mp4""]",0,"[0.5,2]","[]","{""1"":""2""}"\n'
)


def read(tmp_path, name, content, **settings):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_annotations(path, PHASES, **settings)


@pytest.mark.parametrize(
    ("name", "content", "settings", "expected"),
    [
        ("labels.eaf", EAF, {}, {"squat.01": (1.2, 1.5)}),
        ("labels.eaf", EAF.replace('MIME', 'TIME_ORIGIN="500" MIME'), {"tier": "phase"}, {"squat.01": (1.7, 2.0)}),
        ("labels.txt", TEXT_BY_TIER, {"tier": "phase"}, {"squat": (1.2, -1.0)}),
        ("labels.tsv", TEXT_BY_TIER.partition("\n")[2], {"tier": "phase"}, {"labels": (1.2, -1.0)}),
        ("labels.txt", TEXT_BY_ROW, {"tier": "phase"}, {"a": (-1.0, 1.2), "b": (0.7, -1.0)}),
        ("labels.json", VIA, {}, {"a": (1.25, -1.0), "b": (-1.0, 0.5)}),
        ("labels.csv", VIA_CSV, {"tier": "phase"}, {"a": (1.25, -1.0), "b": (-1.0, 0.5)}),
    ],
)  # fmt: skip
def test_every_format_gives_the_seconds_at_which_phases_begin(tmp_path, name, content, settings, expected):
    rows = read(tmp_path, name, content, **settings)
    assert {video: row.seconds for video, row in rows.items()} == expected
    assert all(row.event_names == ("bottom", "up") and row.events == () for row in rows.values())


def test_the_seconds_become_frames_where_the_rate_is_known(tmp_path):
    row = read(tmp_path, "labels.eaf", EAF)["squat.01"]
    assert in_frames(row, np.arange(100) / 30).events == (36, 45)


@pytest.mark.parametrize(
    ("name", "content", "settings", "parts"),
    [
        ("l.eaf", EAF.replace(">up<", ">stand<"), {}, ["'stand'", "'a2'"]),
        ("l.eaf", EAF.replace(">up<", ">down<"), {}, ["once and in order", "'down' after 'bottom'", "'a2'"]),
        ("l.eaf", EAF, {"tier": "action"}, ["['phase']", "'action'"]),
        ("l.eaf", EAF.replace(' TIME_VALUE="1200"', ""), {}, ["no", "'a1'", "Align"]),
        ("l.eaf", EAF[:-30], {}, ["ELAN or VIA 3", "ExpatError"]),
        ("l.txt", TEXT_BY_TIER, {}, ["['note', 'phase']"]),
        ("l.txt", TEXT_BY_TIER.replace("Begin Time", "Anfangszeit"), {}, ["'Begin Time - msec'"]),
        ("l.txt", TEXT_BY_ROW.replace("700", "soon"), {"tier": "phase"}, ["'soon'"]),
        ("l.json", {"_via_settings": {}}, {}, ["'metadata'"]),
        ("l.json", "[", {}, ["JSONDecodeError"]),
        ("l.csv", "action,video_id,event1\n", {}, ["ELAN or VIA 3"]),
        ("l.xlsx", "", {}, [".eaf"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, name, content, settings, parts):
    with pytest.raises(InputError) as caught:
        read(tmp_path, name, content, **settings)
    message = str(caught.value)
    assert "\n" not in message and str(tmp_path / name) in message
    for part in parts:
        assert part in message


def test_a_file_that_declares_entities_is_not_expanded(tmp_path):
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "{"x" * 100}">{levels}]>'
    text = EAF.replace("<ANNOTATION_DOCUMENT ", f"{bomb}<ANNOTATION_DOCUMENT ").replace(">up<", ">&e8;<")
    with pytest.raises(InputError, match="declaration of entity 'e0'"):
        read(tmp_path, "l.eaf", text)
