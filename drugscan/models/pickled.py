"""Pickles and joblib files read as plain data: nothing is imported and nothing called, whatever the file says.

A pickle is a program for a small stack machine; Python's unpickler imports what the program names and calls it. This
machine runs the same program, but a name is only a name here (`Name`), an object is its name with its state (`Made`)
and an array its raw bytes (`Array`). Names that are not in `pickled_names` and opcodes that plain data does
not need are refused.

joblib writes an array as a `NumpyArrayWrapper` with the raw bytes behind it, in the middle of the pickle; an array of
objects holds a second pickle there, which is read by the same machine under the same rules.

Imports only the standard library: it runs in `quarantine`, where there is nothing else. The opcodes are described in
Python's own `pickletools`, joblib's format in its `numpy_pickle.py` (the same since joblib 0.10).
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from drugscan.models.errors import ModelError
from drugscan.models.pickled_names import CALLS, CLASSES, WRAPPER, Made, Name, named
from drugscan.models.raw_arrays import Array, Dtype, array, shown, size

_LONGEST_NUMBER: Final = 32
"""Bytes of an integer: nothing in a pipeline needs more."""


def read(content: bytes) -> object:
    """The one object that a pickle or a joblib file (decompressed) holds, as plain data; raises `ModelError`."""
    machine = Machine(content)
    try:
        return machine.run()
    except ModelError:
        raise
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, struct.error) as error:
        raise ModelError(f"it is no joblib file, or damaged (at byte {machine.at:,} of {len(content):,})") from error


class Machine:
    """The stack machine; `run` once."""

    def __init__(self, content: bytes, at: int = 0, inside_array: bool = False) -> None:
        self.content = content
        self.at = at
        self.inside_array = inside_array
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self._view = memoryview(content)

    def run(self) -> object:
        """Until STOP: what is then on top of the stack."""
        content = self.content
        while True:
            code = content[self.at]
            self.at += 1
            if code == 0x2E:
                return self.stack.pop()
            act = OPCODES.get(code)
            if act is None:
                raise ModelError(f"it is no joblib file, or holds more than data (pickle opcode {shown(chr(code))})")
            act(self)

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        left = len(self.content) - self.at
        if count < 0 or count > left:
            raise ModelError(f"it is cut off: at byte {self.at:,} {count:,} bytes should follow, there are {left:,}")
        self.at += count
        return self._view[self.at - count : self.at]

    def number(self, layout: str) -> Any:  # noqa: ANN401
        """The next number, written as `struct` calls it."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """Text up to the next newline."""
        line = str(self.take(self.content.index(b"\n", self.at) - self.at), "utf-8")
        self.at += 1
        return line

    def since_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        place = self.marks.pop()
        found = self.stack[place:]
        del self.stack[place:]
        return found


# --- opcodes: one function each, or each kind -----------------------------------------------------------------

_Act = Callable[[Machine], None]


def _push(value: object) -> _Act:
    return lambda machine: machine.stack.append(value)


def _pushed(make: Callable[[Machine], object]) -> _Act:
    return lambda machine: machine.stack.append(make(machine))


def _number(layout: str) -> _Act:
    return _pushed(lambda machine: machine.number(layout))


def _text(layout: str) -> _Act:
    return _pushed(lambda machine: str(machine.take(machine.number(layout)), "utf-8", "surrogatepass"))


def _bytes(layout: str) -> _Act:
    return _pushed(lambda machine: bytes(machine.take(machine.number(layout))))


def _skip(count: int) -> _Act:
    def act(machine: Machine) -> None:
        machine.take(count)

    return act


def _long(machine: Machine) -> None:
    count = machine.number("<B")
    if count > _LONGEST_NUMBER:
        raise ModelError("it holds a number of absurd length")
    machine.stack.append(int.from_bytes(machine.take(count), "little", signed=True))


def _mark(machine: Machine) -> None:
    machine.marks.append(len(machine.stack))


def _tuple(count: int) -> _Act:
    def act(machine: Machine) -> None:
        parts = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.stack.append(parts)

    return act


def _put(target: object, parts: list[Any]) -> None:
    """Put key, value, key, value, ... into a dict; plain keys only, for hashing a deep tuple would end the process."""
    if not isinstance(target, dict) or not all(isinstance(key, str | int | float) for key in parts[::2]):
        raise ModelError("it holds a dict with keys that are neither text nor numbers")
    target.update(zip(parts[::2], parts[1::2], strict=True))


def _set_item(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _put(machine.stack[-1], [key, value])


def _set_items(machine: Machine) -> None:
    parts = machine.since_mark()
    _put(machine.stack[-1], parts)


def _extend(target: object, parts: list[Any]) -> None:
    if not isinstance(target, list):
        raise ModelError("it adds to something that is no list")
    target.extend(parts)


def _append(machine: Machine) -> None:
    part = machine.stack.pop()
    _extend(machine.stack[-1], [part])


def _appends(machine: Machine) -> None:
    parts = machine.since_mark()
    _extend(machine.stack[-1], parts)


def _keep(number: Callable[[Machine], int]) -> _Act:
    def act(machine: Machine) -> None:
        machine.memo[number(machine)] = machine.stack[-1]

    return act


def _recall(number: Callable[[Machine], int]) -> _Act:
    return _pushed(lambda machine: machine.memo[number(machine)])


def _stack_name(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(named(module, name))


def _new_object(machine: Machine) -> None:
    arguments, kind = machine.stack.pop(), machine.stack.pop()
    if not isinstance(kind, Name) or arguments != () or kind.pair() not in CLASSES | {WRAPPER}:
        raise ModelError("it makes an object in a way that such a pipeline does not need")
    machine.stack.append(Made(kind))


def _call(machine: Machine) -> None:
    arguments, name = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, Name) or name.pair() not in CALLS or not isinstance(arguments, tuple):
        raise ModelError("it calls something that such a pipeline does not call")
    machine.stack.append(CALLS[name.pair()](*arguments))


def _build(machine: Machine) -> None:
    """Give an object its state; a wrapper becomes the array that lies behind it."""
    state, target = machine.stack.pop(), machine.stack[-1]
    if isinstance(target, Made) and isinstance(state, dict) and all(isinstance(key, str) for key in state):
        target.state = state
        if target.kind.pair() == WRAPPER:
            machine.stack[-1] = _wrapped(machine, state)
    elif isinstance(target, Dtype) and isinstance(state, tuple) and state[2:5] == (None, None, None):
        target.order = state[1]
    elif isinstance(target, Array) and isinstance(state, tuple):
        _, shape, dtype, fortran, data = state
        vars(target).update(vars(array(data, dtype, shape, "F" if fortran else "C")))
    else:
        raise ModelError("it gives a state to something that such a pipeline does not give one")


def _wrapped(machine: Machine, state: dict[str, Any]) -> Array:
    """The array behind a NumpyArrayWrapper. Its bytes are not copied, so a header that lies takes no memory."""
    dtype, shape = state["dtype"], state["shape"]
    if machine.inside_array:
        raise ModelError("it holds an array within an array")
    if dtype.code.startswith("O"):
        inner = Machine(machine.content, machine.at, inside_array=True)
        found = inner.run()
        machine.at = inner.at
        if isinstance(found, Array):
            return found
        raise ModelError("it holds an array of objects that is something else")
    if state.get("numpy_array_alignment_bytes") is not None:
        machine.take(machine.number("<B"))
    return array(machine.take(size(shape) * dtype.item_bytes()), dtype, shape, state["order"])


OPCODES: Final[dict[int, _Act]] = {
    0x80: _skip(1),  # PROTO
    0x95: _skip(8),  # FRAME: says only how much to read ahead
    ord("("): _mark,
    ord("N"): _push(None),
    0x88: _push(True),
    0x89: _push(False),
    ord("J"): _number("<i"),
    ord("K"): _number("<B"),
    ord("M"): _number("<H"),
    ord("G"): _number(">d"),
    0x8A: _long,  # LONG1
    ord("X"): _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("B"): _bytes("<I"),
    ord("C"): _bytes("<B"),
    0x8E: _bytes("<Q"),
    0x96: _bytes("<Q"),  # BYTEARRAY8
    ord("]"): _pushed(lambda _: []),
    ord("}"): _pushed(lambda _: {}),
    0x8F: _pushed(lambda _: []),  # EMPTY_SET
    ord(")"): _push(()),
    0x91: _pushed(Machine.since_mark),  # FROZENSET
    ord("t"): _pushed(lambda machine: tuple(machine.since_mark())),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("a"): _append,
    ord("e"): _appends,
    0x90: _appends,  # ADDITEMS
    ord("s"): _set_item,
    ord("u"): _set_items,
    0x94: _keep(lambda machine: len(machine.memo)),  # MEMOIZE
    ord("q"): _keep(lambda machine: machine.number("<B")),
    ord("r"): _keep(lambda machine: machine.number("<I")),
    ord("h"): _recall(lambda machine: machine.number("<B")),
    ord("j"): _recall(lambda machine: machine.number("<I")),
    ord("c"): _pushed(lambda machine: named(machine.line(), machine.line())),  # GLOBAL
    0x93: _stack_name,
    0x81: _new_object,
    ord("R"): _call,
    ord("b"): _build,
}
"""What protocols 2 to 5 write for plain data and objects. INST, OBJ, NEWOBJ_EX, persistent ids, extensions,
out-of-band buffers, LONG4 and the text forms of protocol 0 are left out on purpose."""
