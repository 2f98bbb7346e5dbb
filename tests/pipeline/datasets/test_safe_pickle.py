"""Pickles of numpy come back equal to what numpy reads; whatever else a pickle asks for is refused and does not run."""

import copyreg
import io
import os
import pickle
import pickletools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.config import InputError
from pipeline.datasets.safe_pickle import load_pickled_npy

PROTOCOLS = (2, 3, 4, 5)


def write(path, pickled: bytes):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(pickled)
    return path


def wrapped(content) -> np.ndarray:
    array = np.empty((), dtype=object)
    array[()] = content
    return array


def same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, np.ndarray) and expected.dtype.hasobject:
        assert found.dtype == object and found.shape == expected.shape
        same(found.ravel().tolist(), expected.ravel().tolist())
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


CASA = {
    "video 1": {"pose": np.arange(24.0).reshape(2, 4, 3), "labels": np.array([0, 1]), "beta": np.ones((2, 10), np.float32)},
    7: {"big": np.arange(3, dtype=">i4"), "text": np.array(["a", "bcd"]), "flags": np.array([True]), "none": None},
    "odd": [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2), np.float32(1.5)],
    "empty": (np.zeros((0, 3)), b"", b"\xff", {1, 2}, frozenset("x"), {"x": 1}, 10**40, -1.5, "\u00e9"),
    "objects": np.array([None, [np.arange(2)], {"k": np.int64(3)}], dtype=object),
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"])
def test_what_numpy_writes(tmp_path, protocol, core):
    pickled = pickle.dumps(wrapped(CASA), protocol)
    if core == "numpy.core":  # as numpy 1 has it; names carry their length from protocol 4 on, and frames theirs
        for start in reversed([at for code, _, at in pickletools.genops(pickled) if code.name == "FRAME"]):
            pickled = pickled[:start] + pickled[start + 9 :]
        for module in ("multiarray", "numeric"):
            new, old = f"numpy._core.{module}".encode(), f"numpy.core.{module}".encode()
            pickled = pickled.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
            pickled = pickled.replace(new, old)
        assert b"_core" not in pickled
    same(load_pickled_npy(write(tmp_path / "a.npy", pickled)), CASA)


@given(
    content=st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
        | hnp.arrays(hnp.boolean_dtypes() | hnp.integer_dtypes(endianness="?") | hnp.floating_dtypes(sizes=(32, 64)), hnp.array_shapes(min_side=0)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
        max_leaves=8,
    ),
    protocol=st.sampled_from(PROTOCOLS),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_anything_plain_survives(tmp_path_factory, content, protocol):
    path = write(tmp_path_factory.mktemp("plain") / "a.npy", pickle.dumps(wrapped({"key": content}), protocol))
    with np.errstate(invalid="ignore"):
        same(load_pickled_npy(path), {"key": content})


def test_as_saved_by_numpy(tmp_path):
    np.save(tmp_path / "dict.npy", CASA)
    same(load_pickled_npy(tmp_path / "dict.npy"), CASA)
    np.save(tmp_path / "plain.npy", np.arange(5))
    same(load_pickled_npy(tmp_path / "plain.npy"), np.arange(5))


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def named(module: str, name: str, *arguments: str, protocol: int = 2) -> bytes:
    """A pickle that calls module.name with strings, written by hand: no such function need exist here."""
    strings = b"".join(b"X" + len(a.encode()).to_bytes(4, "little") + a.encode() for a in arguments)
    if protocol == 4:
        head = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)) + b"\x93"
        return b"\x80\x04" + head + b"(" + strings + b"tR."
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + strings + b"tR."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "system"), ("subprocess", "Popen"), ("builtins", "eval"), ("builtins", "exec"),
        ("builtins", "getattr"), ("builtins", "__import__"), ("builtins", "open"), ("importlib", "import_module"),
        ("numpy", "load"), ("numpy", "save"), ("numpy", "fromfile"), ("numpy.lib.npyio", "load"), ("numpy", "fromregex"),
        ("numpy.testing._private.utils", "runstring"), ("numpy.f2py.diagnose", "run_command"), ("numpy", "memmap"),
        ("pickle", "loads"), ("copyreg", "_reconstructor"), ("functools", "partial"), ("operator", "attrgetter"),
        ("numpy", "ndarray.tofile"), ("numpy.core.multiarray", "fromfile"), ("collections", "OrderedDict.fromkeys"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 4])
def test_names_that_are_not_numpys_are_refused(tmp_path, module, name, protocol):
    path = write(tmp_path / "a.npy", named(module, name, f"touch {tmp_path}/ran", protocol=protocol))
    with pytest.raises(InputError, match=rf"but got {re.escape(f'{module}.{name}')} in .*a\.npy\. It was not run"):
        load_pickled_npy(path)
    assert not (tmp_path / "ran").exists()


def test_a_real_attack_does_not_run_where_numpy_lets_it(tmp_path):
    ran = tmp_path / "ran"
    content = {"video": {"pose": Call(os.mkdir, str(ran)), "labels": np.arange(3)}}
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(InputError, match=r"posix\.mkdir|nt\.mkdir"):
        load_pickled_npy(tmp_path / "a.npy")
    assert not ran.exists()
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert ran.exists()  # so the file was a real attack


class Own(np.ndarray):
    pass


def crafted(head: tuple, state) -> bytes:
    """An array by `numpy._core.multiarray._reconstruct(*head)` and then this state."""
    return pickle.dumps(_Stateful(head, state), 4)


class _Stateful:
    def __init__(self, head, state):
        self.head, self.state = head, state

    def __reduce__(self):
        return np._core.multiarray._reconstruct, self.head, self.state


class _DTypeState:
    """A dtype whose state is not numpy's: here it could turn numbers into addresses of objects."""

    def __init__(self, name, state):
        self.name, self.state = name, state

    def __reduce__(self):
        return np.dtype, (self.name, False, True), self.state


FIELDS = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)


@pytest.mark.parametrize(
    ("pickled", "part"),
    [
        (crafted((Own, (0,), b"b"), (1, (1,), np.dtype("f8"), False, b"8" * 8)), r"test_safe_pickle\.Own"),
        (crafted((Call(os.getcwd), (0,), b"b"), None), r"posix\.getcwd"),
        (crafted((np.dtype("f8"), (0,), b"b"), None), "none of numpy's own"),
        (crafted((np.ndarray, (0,), b"b"), (1, (1,), _DTypeState("V8", FIELDS), False, b"8" * 8)), "dtype 'V8'"),
        (crafted((np.ndarray, (0,), b"b"), (1, (1,), _DTypeState("f8", FIELDS), False, b"8" * 8)), "dtype state"),
        (crafted((np.ndarray, (0,), b"b"), (1, (1,), np.dtype([("a", "O")]), False, [])), "dtype 'V8'"),
        (pickle.dumps(Call(np.dtype, "i4,O"), 4), "dtype 'i4,O'"),
        (pickle.dumps(Call(np.dtype, Own), 4), r"test_safe_pickle\.Own"),
        (pickle.dumps(np.array(["2020-01-01"], dtype="M8[D]"), 4), "dtype 'M8'"),
        (named("_codecs", "encode", "rot", "rot13"), "encoding 'rot13'"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "persistent object 'a'"),
        (b"\x80\x02cnumpy\nndarray\n.", "an object of type object"),
        (b"\x80\x02]q\x00h\x00a.", "contains itself"),
    ],
)  # fmt: skip
def test_tricks_with_numpys_own_names(tmp_path, pickled, part):
    with pytest.raises(InputError, match=rf"Expected arrays and plain containers, but got .*{part}"):
        load_pickled_npy(write(tmp_path / "a.npy", pickled))


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x04nonsense",
        pickle.dumps(wrapped(CASA), 4)[:-40],
        crafted((np.ndarray, (0,), b"b"), (1, (10**12,), np.dtype("f8"), False, b"8" * 8)),
        crafted((np.ndarray, (0,), b"b"), (1, (10**12,), np.dtype("O"), False, [])),
        crafted((np.ndarray, (0,), b"b"), None),
        crafted((np.ndarray, (0,), b"b"), (1, (2,), "f8", False, b"8" * 16)),
        pickle.dumps(Call(np._core.multiarray.scalar, np.dtype("f8"), b"8"), 4),
        b"\x80\x02cnumpy\nndarray\n(tR.",  # numpy.ndarray is no function here
        b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",  # and has nothing to set
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
    ],
)
def test_damage_is_one_line(tmp_path, pickled):
    with pytest.raises(InputError, match=r"Expected a \.npy file, but got .*a\.npy\. Copy it again\.") as caught:
        load_pickled_npy(write(tmp_path / "a.npy", pickled))
    assert "\n" not in str(caught.value)


def test_no_npy_at_all(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(CASA))
    for path in (tmp_path / "a.npy", tmp_path / "none.npy", tmp_path):
        with pytest.raises(InputError, match=r"Expected a \.npy file"):
            load_pickled_npy(path)


def test_a_pickle_leaves_nothing_behind_for_the_next_one(tmp_path):
    """BUILD sets attributes of what is on the stack, even of a function: here, its defaults."""
    state = pickle.dumps((None, {"__defaults__": ((1, 0),)}), 2)[2:-1]
    for name in (b"cnumpy._core.numeric\n_frombuffer\n", b"c_codecs\nencode\n"):
        with pytest.raises(InputError):
            load_pickled_npy(write(tmp_path / "a.npy", b"\x80\x02" + name + state + b"b."))
    np.save(tmp_path / "b.npy", CASA)
    same(load_pickled_npy(tmp_path / "b.npy"), CASA)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_arrays_do_not_multiply(tmp_path, protocol):
    """A list of two of a list of two ... of one array: 2^40 if every mention were a copy."""
    content = [np.arange(3.0)]
    for _ in range(40):
        content = [content, content]
    found = load_pickled_npy(write(tmp_path / "a.npy", pickle.dumps(wrapped(content), protocol)))
    assert found[0] is found[1]


def test_extension_codes_are_refused(tmp_path):
    copyreg.add_extension("os", "getcwd", 240)
    try:
        with pytest.raises(InputError, match=r"but got os\.getcwd"):
            load_pickled_npy(write(tmp_path / "a.npy", b"\x80\x02\x82\xf0)R."))
    finally:
        copyreg.remove_extension("os", "getcwd", 240)
        copyreg.clear_extension_cache()


def test_python_2(tmp_path):
    """Protocol 2 of Python 2 has arrays' bytes as text, in latin1."""
    data = np.array([1.5, -2.0]).tobytes()
    out = io.BytesIO()
    out.write(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85")
    out.write(b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
    out.write(b"U" + bytes([len(data)]) + data + b"tb.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(load_pickled_npy(write(tmp_path / "a.npy", out.getvalue())), np.array([1.5, -2.0]))
