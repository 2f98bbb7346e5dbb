import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.skeleton import BUILT_IN, load_skeleton, skeleton_from_dict

# joints, limbs: of the data sets' own publications; Penn and the hands are the paper's 13 + limbs and 42 + 40 channels.
SIZES = {
    "coco_17": (17, 19),
    "body_25": (25, 24),
    "penn_13": (13, 14),
    "kinect_20": (20, 19),
    "mediapipe_33": (33, 35),
    "hand_21": (21, 20),
    "hands_42": (42, 40),
    "sfinge_20": (20, 19),
    "bandai_21": (21, 20),
}


def test_every_built_in_skeleton_is_listed_here():
    assert {path.stem for path in BUILT_IN.glob("*.yaml")} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_built_in_skeletons_are_sound(name):
    skeleton = load_skeleton(name)
    assert skeleton.name == name
    assert (skeleton.num_joints, skeleton.num_limbs) == SIZES[name]
    assert len({frozenset(limb) for limb in skeleton.limbs}) == skeleton.num_limbs
    assert set(skeleton.limb_index.ravel()) == set(range(skeleton.num_joints)), "a joint without a limb"
    assert skeleton.chains and skeleton.zaxis and skeleton.xaxis


@pytest.mark.parametrize("name", SIZES)
def test_chains_follow_limbs_away_from_their_proximal_joint(name):
    skeleton = load_skeleton(name)
    neighbours = {joint: set() for joint in range(skeleton.num_joints)}
    for a, b in skeleton.limbs:
        neighbours[a].add(b)
        neighbours[b].add(a)
    for chain in skeleton.chains.values():
        for number, joint in enumerate(chain[1:], start=1):
            assert neighbours[joint] & set(chain[:number]), f"{skeleton.joints[joint]} hangs on no earlier joint"


@pytest.mark.parametrize("name", SIZES)
def test_mirroring_pairs_the_sides_by_name_and_maps_limbs_to_limbs(name):
    skeleton = load_skeleton(name)
    other = {"left": "right", "right": "left"}
    for joint, partner in zip(skeleton.joints, skeleton.mirrored, strict=True):
        side, _, rest = joint.partition("_")
        assert skeleton.joints[partner] == (f"{other[side]}_{rest}" if side in other else joint)
    np.testing.assert_array_equal(skeleton.mirrored[skeleton.mirrored], np.arange(skeleton.num_joints))
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.mirrored[list(limb)].tolist()) for limb in limbs} == limbs


def test_known_indices():
    body = load_skeleton("body_25")
    assert (body.zaxis, body.xaxis) == ((1, 8), (1, 5))  # CASA's
    coco = load_skeleton("coco_17")
    assert (coco.zaxis, coco.xaxis) == ((5, 11), (5, 6))
    hands = load_skeleton("hands_42")
    assert (hands.zaxis, hands.xaxis) == ((0, 1), (0, 9))
    kinect = load_skeleton("kinect_20").joints
    assert (kinect[2], kinect[6], kinect[12], kinect[19]) == ("neck", "hip_center", "right_hand", "head")


@pytest.mark.parametrize("name", SIZES)
def test_dictionary_round_trip(name):
    skeleton = load_skeleton(name)
    assert skeleton_from_dict(skeleton.to_dict(), "here") == skeleton


def test_a_users_yaml_by_names_and_indices(tmp_path):
    path = tmp_path / "arm.yaml"
    path.write_text("joints: [a, b, c]\nlimbs: [[a, b], [1, 2]]\nchains: {arm: [a, b, c]}\npairs: [[a, c]]\n")
    skeleton = load_skeleton(str(path))
    assert (skeleton.name, skeleton.limbs, skeleton.zaxis) == ("arm", ((0, 1), (1, 2)), None)
    assert skeleton.mirrored.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("joints: [a, b]", "'limbs'"),
        ("limbs: [[0, 1]]", "'joints'"),
        ("joints: [a, b]\nlimbs: [[a, d]]", "limb 0 names joint 'd'"),
        ("joints: [a, b]\nlimbs: [[0, 2]]", "limb 0 names joint 2"),
        ("joints: [a, b]\nlimbs: [[0, -1]]", "limb 0 names joint -1"),
        ("joints: [a, b]\nlimbs: [[a, true]]", "limb 0 names joint True"),
        ("joints: [a, b]\nlimbs: [[a, b], [a, a]]", "limb 1"),
        ("joints: [a, b]\nlimbs: [[a, b, a]]", "limb 0"),
        ("joints: [a, b]\nlimbs: [a, b]", "limb 0"),
        ("joints: [a, b, a]\nlimbs: [[0, 1]]", "'a' twice"),
        ("joints: []\nlimbs: []", "at least one joint"),
        ("joints: 17\nlimbs: []", "'joints' is 17"),
        ("joints: a b\nlimbs: []", "'joints' is 'a b'"),
        ("joints: [a, b]\nlimbs: {a: b}", "'limbs'"),
        ("joints: [a, b]\nlimbs: [[a, b]]\nchains: [[a, b]]", "'chains'"),
        ("joints: [a, b]\nlimbs: [[a, b]]\nchains: {arm: [a]}", "chain 'arm'"),
        ("joints: [a, b, c]\nlimbs: [[a, b]]\npairs: [[a, b], [b, c]]", "'b' is in two"),
        ("joints: [a, b]\nlimbs: [[a, b]]\nzaxis: [a]", "zaxis"),
        ("joints: [a, b]\nlimbs: [[a, b]]\nbones: [[a, b]]", "'bones'"),
        ("joints: [a, b]\nlimbs: [[a, b]]\n3: x\nbones: y", "'bones'"),
        ("- a\n- b", "list"),
        ("joints: [a, b", "does not parse"),
    ],
)
def test_a_wrong_yaml_is_one_line_that_names_file_and_place(tmp_path, text, part):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_skeleton(str(path))
    message = str(caught.value)
    assert "\n" not in message and part in message and str(path) in message


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"coco_17.*'coco17'"):
        load_skeleton("coco17")
