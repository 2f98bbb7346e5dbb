import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.config import InputError
from pipeline.inputs import CONTROLS, STORES, Inputs, label, needs_pictures, parse
from pipeline.modalities.registry import LOADERS
from pipeline.table import is_trained, method_and_input, system
from pipeline.wording import learned, systems

THREE = (("pose2d",), ("rgb",), ("pose2d", "rgb"))


def test_inputs_that_need_pictures():
    assert needs_pictures(THREE) and not needs_pictures(THREE[:1]) and needs_pictures((("pose2d", "flow"),))


def test_inputs_are_written_as_in_the_long_table():
    assert parse("pose2d, rgb,rgb+pose2d") == [["pose2d"], ["rgb"], ["pose2d", "rgb"]]
    assert label(("pose2d", "rgb")) == "pose2d+rgb"
    assert parse("rgb+pose3d,pose2d-limbs,rgb+pose3d-zero") == [
        ["pose3d", "rgb"],
        ["pose2d-limbs"],
        ["pose3d-zero", "rgb"],
    ]  # poses come first


@pytest.mark.parametrize(
    "text, reason",
    [
        ("pose", r"modalities are .*, got \['pose'\]"),
        ("rgb+rgb", "a modality stands once"),
        ("rgb,rgb", "inputs must differ"),
        ("rgb+pose2d,pose2d+rgb", "inputs must differ"),
        ("", r"got \[''\]"),
    ],
)
def test_wrong_inputs_are_one_line(text, reason):
    with pytest.raises(InputError, match=reason) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_inputs_that_are_no_lists_are_told_how_to_stand():
    with pytest.raises(ValidationError, match=r"such as \[\[pose2d\], \[pose2d, rgb\]\], got \['pose2d'\]"):
        TypeAdapter(Inputs).validate_python(["pose2d"])


def test_every_modality_has_its_file():
    assert list(LOADERS) == list(STORES)


def test_a_control_named_after_a_method_is_a_control_and_stands_among_them():
    names = ["untrained TCC_joints2d", "majority", "untrained", "TCC_joints2d", "la2ds"]
    assert [is_trained(name) for name in names] == [False, False, False, True, True]
    labels = systems(names)
    assert list(labels.values()) == [
        "LA2DS", "TCC (joints2d)", "untrained network", "untrained TCC (joints2d)", "majority class"
    ]  # fmt: skip
    assert [learned(label) for label in labels.values()] == [True, True, False, False, False]


def test_systems_are_named_after_method_and_input_and_read_back():
    for method in ("la2ds", "untrained", "untrained STGCN+CASA"):
        for modalities in (*STORES, "pose2d+rgb", "pose3d+rgb"):
            assert method_and_input(system(method, modalities)) == (method, modalities)
    for control, seen in CONTROLS.items():
        assert system(control, seen) == control and method_and_input(control) == (control, seen)
    assert system("la2ds", "pose2d") == "la2ds"  # as before there were others, so that commits can be compared
