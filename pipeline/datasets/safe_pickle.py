"""Pickled .npy files without running what is in them.

A pickle is a program: it names functions and calls them. Here the few names that numpy writes stand for stand-ins that
only take notes, anything else is refused by name, and arrays are made from the notes when the program has ended. So no
code of numpy sees unchecked values either.
"""

import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np

from pipeline.config import InputError

PLAIN = (type(None), bool, int, float, complex, str, bytes)
DTYPE = re.compile(r"[biufc]\d{1,2}|[SU]\d+|O8?")


def load_pickled_npy(path: Path) -> object:
    """The content of a .npy file that holds one pickled object, or the (plain) array that it holds otherwise.

    Made of arrays of numbers, strings and objects, numpy scalars, dictionaries, lists, tuples, sets and Python's plain
    values; written by numpy 1 or 2 with pickle protocol 2 to 5. Raises InputError for anything else, named.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read_header(file)
            if not dtype.hasobject:
                file.seek(0)
                return np.load(file, allow_pickle=False)
            content = _plain(_Unpickler(file, encoding="latin1").load(), {})
    except _RefusedError as error:
        raise InputError(
            f"Expected arrays and plain containers, but got {error} in {path}. It was not run; ask for a file without."
        ) from None
    except Exception as error:  # the unpickler raises whatever the damaged bytes lead it to
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"Expected a .npy file, but got {detail!r} in {path}. Copy it again.") from None
    return content.item() if isinstance(content, np.ndarray) and content.shape == () else content


class _RefusedError(Exception):
    """What the pickle asked for and is not given."""


class _DType:
    """Stands for numpy.dtype(name) and the state that sets its byte order."""

    def __init__(self, name, align=False, copy=True):
        if not (isinstance(name, str) and DTYPE.fullmatch(name)):
            raise _RefusedError(f"dtype {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state):
        # Fields, sub-arrays and metadata could make numbers pass for objects.
        _, order, subarray, names, fields, *_, flags = state
        if order not in ("<", ">", "|", "=") or any((subarray, names, fields)) or flags not in (0, 8, 63):
            raise _RefusedError(f"dtype state {state!r}")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for numpy's empty array, and the state that fills it."""

    def __init__(self, kind, shape, code):
        if kind is not _NDARRAY:
            raise _RefusedError("an array that is none of numpy's own")

    def __setstate__(self, state):
        _, shape, dtype, fortran, values = state
        self.note(values, dtype, shape, "F" if fortran else "C")

    def note(self, values, dtype: _DType, shape: tuple[int, ...], order: str, axes: tuple[int, ...] | None = None):
        self.values, self.dtype, self.shape, self.order, self.axes = values, dtype.dtype, shape, order, axes

    def array(self, memo: dict) -> np.ndarray:
        if self.dtype.hasobject:
            flat = np.empty(len(self.values), dtype=object)
            for i, value in enumerate(self.values):
                flat[i] = _plain(value, memo)
        else:  # before Python 3, bytes were text
            flat = np.frombuffer(
                self.values.encode("latin1") if isinstance(self.values, str) else self.values, self.dtype
            )
        if self.axes is not None:
            return flat.reshape(self.shape).transpose(self.axes).copy()
        return flat.reshape(self.shape, order=self.order).copy()


# A pickle can set a function's defaults, so these have none.
def _from_buffer(values, dtype, shape, order, *axes):
    array = _Array(_NDARRAY, (0,), b"b")
    array.note(values, dtype, shape, "C" if axes else order, *axes)
    return array


def _scalar(dtype, value):
    return _from_buffer(value, dtype, (), "C")


def _bytes(*text_and_encoding):
    text, encoding = text_and_encoding or ("", "latin1")
    if encoding != "latin1":
        raise _RefusedError(f"encoding {encoding!r}")
    return text.encode(encoding)


_NDARRAY = object()  # has no attributes that a pickle could set
ADMITTED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _bytes,  # protocol 2 has no bytes
    ("collections", "OrderedDict"): OrderedDict,
}
ADMITTED |= {
    (module, name): stand_in
    for module in ("builtins", "__builtin__")  # up to protocol 2, Python 2's name is written
    for name, stand_in in (("bytes", _bytes), ("set", set), ("frozenset", frozenset))
}
ADMITTED |= {
    (f"numpy.{core}.{module}", name): stand_in
    for core in ("core", "_core")
    for module, name, stand_in in (
        ("multiarray", "_reconstruct", _Array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise _RefusedError(f"{module}.{name}")
        return ADMITTED[module, name]

    def persistent_load(self, key):
        raise _RefusedError(f"persistent object {key!r}")


def _plain(content: object, memo: dict[int, object]) -> object:
    """The content with arrays in the place of notes. memo: what is done, by identity; None while being done."""
    if type(content) in PLAIN:
        return content
    if (key := id(content)) in memo:
        if memo[key] is None:
            raise _RefusedError("an object that contains itself")
        return memo[key]
    memo[key] = None
    match content:
        case _Array():
            done = content.array(memo)
            done = done if done.shape or done.dtype.hasobject else done[()]  # numpy scalars, too, come as arrays ()
        case dict():
            done = {_plain(name, memo): _plain(value, memo) for name, value in content.items()}
        case list() | tuple() | set() | frozenset():
            done = type(content)(_plain(value, memo) for value in content)
        case _:
            raise _RefusedError(f"an object of type {type(content).__name__}")
    memo[key] = done
    return done
