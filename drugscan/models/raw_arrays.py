"""numpy arrays as a pickle describes them, without numpy: shape, dtype and raw bytes, checked but not interpreted.

Imports only the standard library: it runs in `quarantine`.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any, Final

from drugscan.models.errors import ModelError

_LAYOUT: Final = {
    "b1": "?",
    "i1": "b",
    "u1": "B",
    "i2": "h",
    "u2": "H",
    "i4": "i",
    "u4": "I",
    "i8": "q",
    "u8": "Q",
    "f4": "f",
    "f8": "d",
}
"""numpy's code of a dtype -> that of `struct`."""
_Bytes = bytes | bytearray | memoryview


@dataclass(eq=False)
class Dtype:
    """A numpy dtype: kind and size as numpy writes them (`f8`, `U3`, `O8`), and the order of its bytes."""

    code: str
    order: str = "="

    def item_bytes(self) -> int:
        """Bytes of one element; raises `ModelError` for all that is not a number, a boolean or short text."""
        if self.code in _LAYOUT:
            size = struct.calcsize(f"<{_LAYOUT[self.code]}")
        elif self.code[:1] == "U" and self.code[1:].isdecimal() and len(self.code) < 5:
            size = 4 * max(1, int(self.code[1:]))
        else:
            raise ModelError(f"it holds an array of dtype {shown(self.code)}; known are numbers, booleans, short text")
        if self.order not in "=<|" and size > 1:
            raise ModelError("it was written on a big-endian machine; load and dump it again on another")
        return size


@dataclass(eq=False)
class Array:
    """An array as it was stored: little-endian bytes, or a list of the objects of an array of dtype `O`."""

    code: str = ""
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: _Bytes | list[Any] = b""


def shown(text: object) -> str:
    """Text from the file, short and in plain ASCII, so that a message cannot write to the terminal as it likes."""
    return ascii(str(text)[:80]).strip("'\"")


def size(shape: object) -> int:
    """How many elements; raises `ModelError` for a shape that no array of a model has."""
    if isinstance(shape, tuple) and 0 < len(shape) <= 2 and all(type(side) is int and side > 0 for side in shape):
        return math.prod(shape)
    raise ModelError("it holds an array of impossible shape: one or two sides are expected, each at least 1")


def array(data: _Bytes | list[Any], dtype: Dtype, shape: tuple[int, ...], order: str) -> Array:
    """An array whose content fits its shape and dtype; raises `ModelError`."""
    of_objects = dtype.code.startswith("O")
    expected = size(shape) * (1 if of_objects else dtype.item_bytes())
    if isinstance(data, list if of_objects else _Bytes) and len(data) == expected:
        return Array(dtype.code, shape, order == "F", data)
    raise ModelError(f"it holds an array of dtype {shown(dtype.code)} whose content does not fit its shape")


def plain(found: Array) -> list[Any]:
    """The elements as Python's own numbers or strings, in the order in which they are stored."""
    if isinstance(found.data, list):
        return found.data
    if found.code.startswith("U"):
        width = 4 * int(found.code[1:])
        parts = [found.data[begin : begin + width] for begin in range(0, len(found.data), width)]
        return [str(part, "utf-32-le").rstrip("\0") for part in parts]
    layout = _LAYOUT[found.code]
    count = len(found.data) // struct.calcsize(f"<{layout}")
    return list(struct.unpack(f"<{count}{layout}", found.data))


def scalar(dtype: Dtype, data: _Bytes) -> Any:  # noqa: ANN401
    """One number or string, as numpy pickles its scalars."""
    return plain(array(data, dtype, (1,), "C"))[0]
