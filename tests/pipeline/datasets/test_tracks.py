"""2D tracks in plain arrays and tables."""

import pickle
import re

import numpy as np
import pytest
from numpy.lib.format import write_array_header_1_0
from pydantic import ValidationError

from pipeline.config import InputError
from pipeline.datasets.tracks import TracksConfig, read, to_pixels
from pipeline.sequence import read_sequences, write_sequences

ROD = "joints: [a, b, c]\nlimbs: [[a, b], [b, c]]\nzaxis: [a, b]\nxaxis: [a, c]\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "rod.yaml").write_text(ROD)
    return tmp_path


def settings(root, **changes):
    base = {"root": root, "skeleton": "rod.yaml", "action": "wave", "fps": 30, "val_fraction": 0.6}
    return TracksConfig(**base | changes)


def clips(columns=2, lengths=(5, 6, 7)):
    """Coordinates that tell clip, frame, joint and column."""
    shape = np.indices((max(lengths), 3, columns))
    whole = 100 * shape[0] + 10 * shape[1] + shape[2]
    return {f"clip{n}": (1000 * n + whole[:length]).astype(np.float32) for n, length in enumerate(lengths)}


def error_of(config, part):
    with pytest.raises(InputError) as caught:
        read(config, "test")
    assert re.search(part, str(caught.value)) and "\n" not in str(caught.value), str(caught.value)


def test_a_header_that_claims_more_than_there_is_memory(root):
    np.savez(root / "all.npz", **clips())
    for shape in ((2**40, 3, 2), (2**36, 3, 2)):
        with (root / "huge.npy").open("wb") as file:
            write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            file.write(bytes(240))
        found = read(settings(root, pattern=r".*\.np[yz]"), "test")
        assert found.names == ("clip0", "clip1", "clip2") and "huge.npy" in found.left_out["huge"]


def test_npz_of_an_array_per_clip(root):
    arrays = clips()
    arrays["clip1"][2, 1, 0] = np.nan
    np.savez(root / "all.npz", **arrays)
    found = read(settings(root, pattern="all.npz", frame_size=[640, 480], poses="annotated"), "test")
    assert found.names == ("clip0", "clip1", "clip2") and found.lengths.tolist() == [5, 6, 7]
    assert found.joints[found.offsets[2] + 3, 2].tolist() == [2320, 2321] and set(found.fps) == {30}
    assert found.confidence[7].tolist() == [1, 0, 1] and found.confidence.sum() == 53
    assert found.frame_size.tolist() == [[640, 480]] * 3 and found.poses == "annotated"


def test_third_column_is_the_confidence(root):
    arrays = clips(3)
    for array in arrays.values():
        array[..., 2] = [0.25, 0, 1]
    np.savez(root / "all.npz", **arrays)
    found = read(settings(root, pattern="all.npz"), "test")
    assert found.joints.shape == (18, 3, 2) and (found.confidence == [0.25, 0, 1]).all()
    np.savez(root / "all.npz", fps=25, **arrays)
    assert set(read(settings(root, pattern="all.npz", fps=None), "test").fps) == {25}


@pytest.mark.parametrize("key", ["joints", "positions"])
def test_npz_of_all_clips_in_one_array(root, key):
    arrays = clips()
    whole = {key: np.concatenate(list(arrays.values())), "confidence": np.full((18, 3), 0.5), "fps": np.float64(12)}
    whole |= {"offsets": np.array([0, 5, 11, 18]), "names": np.array(list(arrays))}
    np.savez(root / "all.npz", **whole)
    found = read(settings(root, pattern="all.npz", fps=None), "test")
    assert found.names == tuple(arrays) and set(found.fps) == {12} and (found.confidence == 0.5).all()
    np.testing.assert_array_equal(found.joints, whole[key])
    for changes, part in (
        ({"confidence": np.ones((18, 2))}, r"confidence \(F, K\), but got \(18, 2\)"),
        ({"offsets": np.array([0, 5, 18])}, r"offsets \(N \+ 1\), but got \(3,\)"),
        ({"offsets": np.array([0, 11, 5, 18])}, "rise"),
        ({"names": np.array("x")}, r"names \(N\)"),
        ({"fps": np.array([1, 2])}, "one fps"),
        ({key: np.ones((18, 3, 3))}, "x and y beside confidence.*all.npz.*joints3d"),
        ({"confidence": np.full((18, 3), "high")}, "<U4"),
        ({key: np.ones((18, 3, 4))}, r"\(T, 3, 2 or 3\) for skeleton 'rod', but got \(18, 3, 4\)"),
    ):
        np.savez(root / "all.npz", **whole | changes)
        error_of(settings(root, pattern="all.npz"), part)


def test_one_clip_per_file_is_named_by_it(root):
    for name, array in clips().items():
        np.save(root / f"{name}.npy", array)
        np.savez(root / f"{name}.npz", joints=array)
    for suffix in ("npy", "npz"):
        found = read(settings(root, pattern=rf".*\.{suffix}"), "test")
        assert found.names == ("clip0", "clip1", "clip2")
    error_of(settings(root, pattern=r".*\.npy", fps=None), "Expected a frame rate.*clip0.npy.*Set 'fps'")


def test_normalised_coordinates_are_at_the_edges_of_the_outer_pixels(root):
    corners = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]])
    np.savez(root / "all.npz", **{name: np.tile(corners, (4, 1, 1)) for name in "abc"})
    found = read(settings(root, pattern="all.npz", normalised=True, frame_size=[8, 4]), "test")
    assert found.joints[0].tolist() == [[-0.5, -0.5], [7.5, 3.5], [3.5, 0.5]]
    centres = (np.indices((8, 4)).reshape(2, -1).T + 0.5) / [8, 4]
    np.testing.assert_allclose(to_pixels(centres, (8, 4)), np.indices((8, 4)).reshape(2, -1).T, atol=1e-12)
    with pytest.raises(ValidationError, match="frame_size"):
        settings(root, pattern="all.npz", normalised=True)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was loaded",))


def test_no_pickle_is_ever_loaded(root):
    good = clips()
    for name, array in good.items():
        np.save(root / f"{name}.npy", array)
    np.save(root / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (root / "raw.npy").write_bytes(pickle.dumps({"joints": Trap()}))
    (root / "cut.npy").write_bytes((root / "clip0.npy").read_bytes()[:-20])
    (root / "text.npy").write_text("x")
    found = read(settings(root, pattern=r".*\.npy"), "test")
    assert found.names == tuple(good) and set(found.left_out) == {"trap", "raw", "cut", "text"}
    for name, reason in found.left_out.items():
        assert "Expected plain arrays" in reason and f"{name}.npy" in reason and "without pickled objects" in reason
    np.savez(root / "all.npz", a=np.array([Trap()], dtype=object))
    error_of(settings(root, pattern="all.npz"), "plain arrays.*all.npz")


def wide(array, header="a_x,a_y,a_likelihood,b_x,b_y,b_likelihood,c_x,c_y,c_likelihood"):
    rows = [",".join(f"{x:g},{y:g},0.5" for x, y in frame) for frame in array]
    return "\n".join([header, *rows]) + "\n"


def test_wide_csv(root):
    for name, array in clips().items():
        (root / f"{name}.csv").write_text(wide(array))
    found = read(settings(root, pattern=r".*\.csv"), "test")
    np.testing.assert_array_equal(found.joints, np.concatenate(list(clips().values())))
    assert (found.confidence == 0.5).all()


def test_rows_of_a_csv_are_placed_by_their_frame(root):
    lines = ["time_s,frame,a_x,a_y,b_x,b_y,c_x,c_y"]
    lines += [f"{n / 30},{n},{n},1,{n},2,{n},3" for n in (6, 4, 2, 3, 8)]
    lines[1] = "0,6,6,1,,2,6,nan"
    for name in "abc":
        (root / f"{name}.csv").write_text("\n".join(lines))
    (root / "events.csv").write_text("sequence,event1\na,5\nb,6\nc,7\n")
    found = read(settings(root, pattern=r"[abc]\.csv", events={"path": "events.csv"}), "test")
    assert found.lengths.tolist() == [7] * 3 and set(found.fps) == {30}
    assert found.joints[:7, 0, 0].tolist() == [2, 3, 4, 0, 6, 0, 8]
    assert found.confidence[:7].tolist() == [[1, 1, 1], [1, 1, 1], [1, 1, 1], [0] * 3, [1, 0, 0], [0] * 3, [1, 1, 1]]
    assert found.events.tolist() == [[3], [4], [5]]


def test_long_csv(root):
    lines = ["frame,joint,x,y,score,track"]
    for frame in range(0, 12, 2):
        lines += [f"{frame},{joint},{frame},{k},0.5,left" for k, joint in enumerate("abc") if frame != 4]
        lines += [f"{frame},{joint},{-frame},{k},0.25,right" for k, joint in enumerate("cab")]
    for name in "xyz":
        (root / f"{name}.csv").write_text("\n".join(lines))
    found = read(settings(root, pattern=r".\.csv", track="left"), "test")
    assert found.lengths.tolist() == [6] * 3 and set(found.fps) == {15}  # every second frame
    assert found.joints[1].tolist() == [[2, 0], [2, 1], [2, 2]] and found.joints[2].tolist() == [[0, 0]] * 3
    found = read(settings(root, pattern=r".\.csv", track="right"), "test")
    assert found.joints[1].tolist() == [[-2, 1], [-2, 2], [-2, 0]] and (found.confidence == 0.25).all()
    error_of(settings(root, pattern=r".\.csv"), r"one track, but got \['left', 'right'\] in .*x.csv.*'track'")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a_x,a_y,b_x,b_y,c_x\n1,2,3,4,5\n", "column 'c_y'.*line 1"),
        (
            wide(clips()["clip0"]).replace("410", "four"),
            "a number, or nothing, but got 'four' in column 'b_x' of .*line 6",
        ),
        (wide(clips()["clip0"]) + "1,2\n", "9 cells.*line 7"),
        ("frame,a_x,a_y,b_x,b_y,c_x,c_y\n" + "0,1,2,3,4,5,6\n" * 2, "'a' of frame 0 in .*line 3"),
        ("frame,a_x,a_y,b_x,b_y,c_x,c_y\n,1,2,3,4,5,6\n", "number of a frame, but got none.*line 2"),
        ("frame,joint,x,y\n0,a,1,2\n0,tail,1,2\n", "joint of skeleton 'rod', but got 'tail' in .*line 3"),
        ("joint,x,y\na,1,2\n", "column 'frame'"),
        ("frame,joint,x,y\n0,a,1,2\n1.5,a,1,2\n", "'1.5' in column 'frame' of .*line 3"),
        ("frame,joint,x,y\n", "there is none"),
        (
            "frame,joint,x,y,confidence\n" + "".join(f"{n},a,1,2,{n}\n" for n in range(5)),
            r"confidence in \[0, 1\].*frame 2",
        ),
        ("a_x,a_y,b_x,b_y,c_x,c_y\n" + "1,2,inf,4,5,6\n" * 5, "finite coordinates.*joint 'b'.*frame 0"),
    ],
)
def test_a_wrong_csv_is_left_out_and_named(root, text, part):
    for name, array in clips().items():
        (root / f"{name}.csv").write_text(wide(array))
    (root / "wrong.csv").write_text(text)
    found = read(settings(root, pattern=r".*\.csv"), "test")
    assert len(found) == 3 and re.search(part, found.left_out["wrong"]), found.left_out
    assert "wrong.csv" in found.left_out["wrong"]


@pytest.mark.shared
def test_movenet_pushups(shared, tmp_path):
    config = TracksConfig(
        root=shared / "pushup_videos",
        pattern=r"movenet17_xys\.npz",
        skeleton="coco_17",
        action="pushup",
        fps=25,
        frame_size=[640, 360],
        events={
            "path": "derived_events.csv",
            "sequence": ["clip"],
            "columns": ["lowest_frame"],
            "group": "source_group",
        },
        val_fraction=0.3,
    )
    write_sequences(read(config, "pushup"), tmp_path / "poses")
    found = read_sequences(tmp_path / "poses")
    assert len(found) == 50 and not found.left_out and found.event_names == {"pushup": ("lowest_frame",)}
    of_split = [
        {g for g, s in zip(found.groups, found.splits, strict=True) if s == split} for split in ("train", "val")
    ]
    assert not of_split[0] & of_split[1]
    shoulders = [found.skeleton.joints.index(f"{side}_shoulder") for side in ("left", "right")]
    for n in range(50):
        height = found.joints[found.frames(n)][:, shoulders, 1].mean(axis=1)
        assert height[found.events[n, 0]] > height.min() + 0.7 * np.ptp(height)
