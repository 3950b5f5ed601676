"""Values from pickles that nobody vouches for: numbers, texts, lists, dictionaries and NumPy arrays of
numbers, and nothing else.

A pickle is a program, and even with the names of NumPy alone it can read memory that is not its own
(`dtype.__setstate__`). So none is run here: the few operations of which CIFAR's batches and their like
consist are carried out one by one on values that are checked, and an array is made of its shape, the name of
its type and its bytes once these fit each other. Every other operation or name is refused. `pickle.Unpickler`
with an allow-list in `find_class` would still call what it allows.
"""

import math
import pickle
import pickletools
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from reprise.data.tar import GET_AGAIN
from reprise.errors import RepriseError, gist

OPERATIONS = 1 << 20
"""In one pickle; the largest of CIFAR's, by Python 2, has 250,000."""
MEMO = 1 << 20
"""The largest number of a remembered value; writers count from 0."""
LARGE = 1 << 16
"""Bytes of a string from which on it is not copied, since it can only be an array's."""
DIMENSIONS = 8
TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""Elements of arrays."""


def safe_unpickle(file: BinaryIO, where: str) -> Any:
    """The pickled value in `file`, 8-bit strings as bytes; `where` names it in errors. Arrays are read-only.

    Protocols 0 to 5, as far as they are needed for such values. Whatever else the pickle does is a
    `RepriseError`.
    """
    try:
        return _Machine(file.read(), where).run()
    except (_WrongError, ValueError, IndexError, struct.error) as error:
        raise RepriseError(f"{where}: cannot be unpickled ({gist(error)}); {GET_AGAIN}") from None


class _WrongError(Exception):
    """What is wrong with the pickle."""


class _Name(NamedTuple):
    """A global name in the pickle: what it stands for in Python is never looked up."""

    module: str
    name: str


_RECONSTRUCT = (
    _Name("numpy.core.multiarray", "_reconstruct"),
    _Name("numpy._core.multiarray", "_reconstruct"),
)  # of NumPy 1 and 2
_NDARRAY, _DTYPE, _ENCODE = _Name("numpy", "ndarray"), _Name("numpy", "dtype"), _Name("_codecs", "encode")
_KNOWN = (*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE)


@dataclass
class _Type:
    """A type of elements in the making."""

    name: str
    order: str = "="


@dataclass
class _Array:
    """An array in the making, and the numbers under which it is remembered."""

    numbers: list[int] = field(default_factory=list)


class _Machine:
    """A pickle's operations on a stack, as Python's `pickletools` describes them."""

    def __init__(self, content: bytes, where: str) -> None:
        self._content, self._place, self._where = content, 0, where
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._encoded = 0

    def run(self) -> Any:
        for _ in range(OPERATIONS):
            code = self._take(1)
            if code == pickle.STOP:
                return self._pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                known = {each.code: each.name for each in pickletools.opcodes}
                name = known.get(code.decode("latin-1"), f"the byte {code[0]}")
                raise _WrongError(f"{name} is not an operation on plain values and arrays")
            operation(self)
        raise _WrongError(f"more than {OPERATIONS:,} operations")

    # arguments

    def _pass(self, count: int) -> slice:
        """The place of the next `count` bytes, which are behind us then."""
        start = self._place
        self._place += count
        if count < 0 or self._place > len(self._content):
            raise _WrongError("it ends too soon")
        return slice(start, self._place)

    def _take(self, count: int) -> bytes:
        return self._content[self._pass(count)]

    def _view(self, count: int) -> memoryview:
        return memoryview(self._content)[self._pass(count)]

    def _line(self) -> bytes:
        end = self._content.find(b"\n", self._place)
        line = self._take(end - self._place)
        self._place += 1
        return line

    def _number(self, code: str) -> Any:
        return struct.unpack(code, self._take(struct.calcsize(code)))[0]

    def _digits(self) -> int:
        line = self._line()
        if not re.fullmatch(rb"-?[0-9]{1,20}L?", line):
            raise _WrongError("a number is none, or too large")
        return int(line.removesuffix(b"L"))

    # the stack

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _WrongError("a value is missing")
        return self._stack.pop()

    def _items(self) -> list[Any]:
        """The values above the last mark, which goes too."""
        if not self._marks:
            raise _WrongError("a mark is missing")
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _top(self, kind: type) -> Any:
        value = self._pop()
        if type(value) is not kind:
            raise _WrongError(f"a {kind.__name__} is missing")
        self.push(value)
        return value

    # operations

    def protocol(self) -> None:
        if self._take(1)[0] > 5:
            raise _WrongError("an unknown protocol")

    def frame(self) -> None:
        self._number("<Q")

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def integer(self) -> None:
        known = {b"00": False, b"01": True}.get(self._content[self._place : self._place + 2])
        number = self._digits()
        self.push(number if known is None or number > 1 else known)

    def long(self) -> None:
        size = self._number("B")
        if size > 8:
            raise _WrongError("a number is too large")
        self.push(int.from_bytes(self._take(size), "little", signed=True))

    def bytes(self, size: int) -> None:
        self.push(self._take(size) if size < LARGE else self._view(size))

    def text(self, size: int) -> None:
        self.push(self._take(size).decode("utf-8"))

    def dictionary(self, items: list[Any]) -> None:
        self.push({})
        self.set(items)

    def append(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def set(self, items: list[Any]) -> None:
        target = self._top(dict)
        if len(items) % 2:
            raise _WrongError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | bytes):  # what is hashed may be nested too deeply for that
                raise _WrongError("a key that is not a text")
            target[key] = value

    def tuple(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self.push(tuple(reversed(items)))

    def put(self, number: int) -> None:
        if not 0 <= number <= MEMO:
            raise _WrongError(f"value {number:,} to remember, at most {MEMO:,} are expected")
        value = self._pop()
        self.push(value)
        self._memo[number] = value
        if isinstance(value, _Array):
            value.numbers.append(number)

    def get(self, number: int) -> None:
        if number not in self._memo:
            raise _WrongError(f"value {number} was never remembered")
        self.push(self._memo[number])

    def name(self, module: Any, name: Any) -> None:
        found = _Name(module, name)
        if found not in _KNOWN:
            raise RepriseError(
                f"{self._where}: its pickle calls {module}.{name}, which is forbidden: do not trust this file"
            )
        self.push(found)

    def call(self) -> None:
        arguments, called = self._pop(), self._pop()
        match called, arguments:
            case _Name(), (_Name() as kind, (0,), _) if called in _RECONSTRUCT and kind == _NDARRAY:
                self.push(_Array())
            case _Name(), (bytes() | str() as name, *_) if called == _DTYPE:
                if _plain(name) not in TYPES:
                    raise _WrongError(f"arrays of {_plain(name)[:20]!r}, not of numbers")
                self.push(_Type(_plain(name)))
            case _Name(), (str() as text, "latin1" | "latin-1") if (
                called == _ENCODE
            ):  # how Python 3 writes bytes in protocols 0 to 2
                self._encoded += len(text)
                if self._encoded > len(self._content):
                    raise _WrongError("texts that multiply")
                self.push(text.encode("latin-1"))
            case _:
                raise _WrongError("a call that makes no array")

    def build(self) -> None:
        state, target = self._pop(), self._pop()
        match target, state:
            case _Type(), (int(), bytes() | str() as order, None, None, None, -1, -1, 0) if _plain(order) in (
                "<",
                ">",
                "=",
                "|",
            ):
                target.order = _plain(order)
                self.push(target)
            case _Array(), (
                1,
                tuple() as shape,
                _Type() as kind,
                bool() as fortran,
                bytes() | memoryview() as content,
            ):
                array = _array(shape, np.dtype(kind.order + kind.name), content, fortran)
                self._memo.update(dict.fromkeys(target.numbers, array))
                self.push(array)
            case _:
                raise _WrongError("an array or its type is described in an unknown way")


def _plain(text: bytes | str) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text


def _array(shape: tuple[Any, ...], kind: np.dtype, content: bytes | memoryview, fortran: bool) -> np.ndarray:
    if len(shape) > DIMENSIONS or not all(
        type(length) is int and 0 <= length <= len(content) for length in shape
    ):
        raise _WrongError("an array of an impossible shape")
    if math.prod(shape) * kind.itemsize != len(content):
        raise _WrongError(f"an array of shape {shape} and {len(content):,} bytes")
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


_OPERATIONS: Mapping[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: _Machine.protocol,
    pickle.FRAME: _Machine.frame,
    pickle.MARK: _Machine.mark,
    pickle.NONE: lambda machine: machine.push(None),
    pickle.NEWTRUE: lambda machine: machine.push(True),
    pickle.NEWFALSE: lambda machine: machine.push(False),
    pickle.INT: _Machine.integer,
    pickle.LONG: lambda machine: machine.push(machine._digits()),
    pickle.LONG1: _Machine.long,
    pickle.BININT: lambda machine: machine.push(machine._number("<i")),
    pickle.BININT1: lambda machine: machine.push(machine._take(1)[0]),
    pickle.BININT2: lambda machine: machine.push(machine._number("<H")),
    pickle.FLOAT: lambda machine: machine.push(float(machine._line()[:32])),
    pickle.BINFLOAT: lambda machine: machine.push(machine._number(">d")),
    pickle.BINSTRING: lambda machine: machine.bytes(machine._number("<i")),
    pickle.SHORT_BINSTRING: lambda machine: machine.bytes(machine._take(1)[0]),
    pickle.BINBYTES: lambda machine: machine.bytes(machine._number("<I")),
    pickle.SHORT_BINBYTES: lambda machine: machine.bytes(machine._take(1)[0]),
    pickle.BINBYTES8: lambda machine: machine.bytes(machine._number("<Q")),
    pickle.UNICODE: lambda machine: machine.push(machine._line().decode("raw-unicode-escape")),
    pickle.BINUNICODE: lambda machine: machine.text(machine._number("<I")),
    pickle.SHORT_BINUNICODE: lambda machine: machine.text(machine._take(1)[0]),
    pickle.BINUNICODE8: lambda machine: machine.text(machine._number("<Q")),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.LIST: lambda machine: machine.push(machine._items()),
    pickle.APPEND: lambda machine: machine.append([machine._pop()]),
    pickle.APPENDS: lambda machine: machine.append(machine._items()),
    pickle.EMPTY_TUPLE: lambda machine: machine.push(()),
    pickle.TUPLE: lambda machine: machine.push(tuple(machine._items())),
    pickle.TUPLE1: lambda machine: machine.tuple(1),
    pickle.TUPLE2: lambda machine: machine.tuple(2),
    pickle.TUPLE3: lambda machine: machine.tuple(3),
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.DICT: lambda machine: machine.dictionary(machine._items()),
    pickle.SETITEM: lambda machine: machine.set([machine._pop(), machine._pop()][::-1]),
    pickle.SETITEMS: lambda machine: machine.set(machine._items()),
    pickle.PUT: lambda machine: machine.put(machine._digits()),
    pickle.BINPUT: lambda machine: machine.put(machine._take(1)[0]),
    pickle.LONG_BINPUT: lambda machine: machine.put(machine._number("<I")),
    pickle.MEMOIZE: lambda machine: machine.put(len(machine._memo)),
    pickle.GET: lambda machine: machine.get(machine._digits()),
    pickle.BINGET: lambda machine: machine.get(machine._take(1)[0]),
    pickle.LONG_BINGET: lambda machine: machine.get(machine._number("<I")),
    pickle.GLOBAL: lambda machine: machine.name(*(machine._line().decode("utf-8") for _ in range(2))),
    pickle.STACK_GLOBAL: lambda machine: machine.name(*[machine._pop(), machine._pop()][::-1]),
    pickle.REDUCE: _Machine.call,
    pickle.BUILD: _Machine.build,
}
"""All that a pickle may do."""
