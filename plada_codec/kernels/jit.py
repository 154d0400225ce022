"""Two ways to run a kernel: the interpreter for little work, numba's compiled code once that pays.

Compiling a kernel takes seconds, and importing numba half a second; the interpreter codes a thousand labels in a tenth
of a second. So every kernel is interpreted at first, and compiled as soon as its work in this process would have paid
for that. The way only changes the time that a call takes, never its result.

A module of kernels has two kinds of functions:

    @kernel(...)    called from outside, with numpy arrays and integers
    @part           called only by kernels and other parts

Both only use operations that mean the same to the interpreter and to numba:

- All numbers are integers below 2^63, or, through `as_uint64`, below 2^64. A value from a table that is a numpy array
  must pass through `as_int64`, and so must a comparison that is used as a number.
- Arrays are made by `zeros`. They have one or two dimensions, and are indexed one dimension at a time: interpreted,
  they are lists. No numpy function takes them.
- Kernels make arrays and give them to parts, which have the loops. If a function makes arrays, numba counts references
  to them, which would take half of the time of a loop that calls parts.
- A 0 or 1 that decides what is coded is not made by a branch: compiled, a branch would double the code after it.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from plada_codec.errors import PladaWarning
from plada_codec.kernels import cache

if TYPE_CHECKING:
    from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
#: An array of integers, and one of two dimensions: numpy arrays if compiled, lists if interpreted.
Ints: TypeAlias = Any
Rows: TypeAlias = Any

#: Environment variable: "compiled" or "interpreted" runs all kernels that way, "auto" lets each kernel decide.
MODE_VARIABLE = "PLADA_KERNELS"
_MODES = ("auto", "compiled", "interpreted")
#: Lists take up to 40 bytes per integer: a call with larger arrays is always compiled.
_MOST_INTERPRETED = 1 << 16
#: Processor time to import numba, and to load a kernel that was compiled before.
_IMPORT_S, _LOAD_S = 0.3, 0.02

#: Held while kernels are compiled and while this process forks: a child would wait forever for a lock of a thread
#: that it does not have.
_compiling = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_compiling.acquire, after_in_parent=_compiling.release, after_in_child=_compiling.release
    )

#: Functions that kernels call and numba does not know yet.
_parts: list[Callable[..., Any]] = []


def part(function: Function) -> Function:
    """Mark a function as a part: the interpreter calls it, and numba compiles it into each kernel that calls it.

    It makes no arrays.
    """
    _parts.append(function)
    return function


def kernel(
    *,
    writes: Sequence[str] = (),
    steps: Callable[..., int],
    step_us: float,
    compile_s: float,
    makes_arrays: bool = False,
) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a function a kernel.

    Args:
        writes: names of the arrays that it writes into. It must not write into others, nor lengthen any.
        steps: a function of the same arguments that estimates the number of steps, such as the values to code.
        step_us: microseconds that the interpreter takes for a step: a rough figure of some machine.
        compile_s: seconds to compile the kernel: also a rough figure.
        makes_arrays: whether the function makes arrays.
    """
    return lambda function: Kernel(function, writes, steps, step_us * 1e-6, compile_s, makes_arrays)


class Kernel:
    """A function that the interpreter runs at first, and numba's compiled code later."""

    def __init__(
        self,
        function: Callable[..., Any],
        writes: Sequence[str],
        steps: Callable[..., int],
        step_s: float,
        compile_s: float,
        makes_arrays: bool = False,
    ) -> None:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        self.function = function
        self.compiled: Any = None
        self._written = [name in writes for name in names]
        self._steps = steps
        self._step_s = step_s
        self._compile_s = compile_s
        self._makes_arrays = makes_arrays
        self._interpreted_s = 0.0
        self._price_s: float | None = None
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        """Run the kernel: arrays are numpy arrays of int64, int32 or uint8; all other arguments are integers."""
        mode = os.environ.get(MODE_VARIABLE) or "auto"
        if mode not in _MODES:
            _warn_of_mode(mode)
        if mode == "interpreted":
            return self._interpret(arguments)
        if self.compiled is None:
            self._interpreted_s += self._step_s * self._steps(*arguments)
            is_large = any(isinstance(one, np.ndarray) and one.size > _MOST_INTERPRETED for one in arguments)
            if not (mode == "compiled" or is_large or self._is_worth_compiling(self._interpreted_s)):
                return self._interpret(arguments)
            self._compile(arguments)
        return self.compiled(*self._prepared(arguments))

    def expect_steps(self, steps: int) -> None:
        """Announce steps to come, so that the kernel is compiled before the first one, if that pays."""
        if self._is_worth_compiling(self._interpreted_s + self._step_s * steps):
            self._interpreted_s = math.inf

    def _is_worth_compiling(self, interpreted_s: float) -> bool:
        """Whether the interpreter's time `interpreted_s` exceeds the time to compile or load the kernel."""
        if self._price_s is None and interpreted_s > _LOAD_S:
            imported_s = 0.0 if "numba" in sys.modules else _IMPORT_S
            self._price_s = imported_s + (_LOAD_S if cache.has(self.function) else self._compile_s)
        return self._price_s is not None and interpreted_s > self._price_s

    def _interpret(self, arguments: tuple[Any, ...]) -> Any:
        lists = [one.tolist() if isinstance(one, np.ndarray) else one for one in arguments]
        result = self.function(*lists)
        for array, values, written in zip(arguments, lists, self._written, strict=True):
            if written:
                array[:] = values
        return result

    def _compile(self, arguments: tuple[Any, ...]) -> None:
        with _compiling:
            if self.compiled is None:
                numba = _numba()
                if numba is None:
                    self.compiled = lambda *prepared: self._interpret(prepared)
                    return
                _teach_numba()
                compiled = numba.njit(nogil=True, _nrt=self._makes_arrays)(self.function)
                cache.attach(compiled)
                compiled.compile(tuple(numba.typeof(one) for one in self._prepared(arguments)))
                self.compiled = compiled

    def _prepared(self, arguments: tuple[Any, ...]) -> list[Any]:
        """The arguments in the form for which the kernel is compiled: arrays that it does not write are read-only."""
        return [
            _read_only(one) if isinstance(one, np.ndarray) and not written else one
            for one, written in zip(arguments, self._written, strict=True)
        ]


def _numba() -> Any:
    """Import numba. None if its settings forbid compiling, or, with a warning, if it cannot be imported."""
    try:
        numba: Any = importlib.import_module("numba")
    except Exception as error:
        # Any error: numba evaluates its environment variables when it is imported.
        what = f"numba cannot be imported ({type(error).__name__}: {error})"
        warnings.warn(f"{what}: nothing is compiled, so the work takes longer", PladaWarning, stacklevel=4)
        return None
    return None if numba.config.DISABLE_JIT else numba


@functools.cache
def _warn_of_mode(mode: str) -> None:
    """Warn once of an unknown mode."""
    what = f"{MODE_VARIABLE} is {mode!r}, but must be one of {', '.join(_MODES)}; auto is used"
    warnings.warn(what, PladaWarning, stacklevel=3)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


# --- functions for kernels -------------------------------------------------------------------------------------------


def as_int64(value: Any) -> int:
    """A number as a signed integer."""
    return int(value)


def as_uint64(value: Any) -> int:
    """A number as an unsigned integer below 2^64; numba cannot mix these with signed integers."""
    return int(value)


def zeros(length: int) -> Ints:
    """An array of int64 [length]."""
    return [0] * length


def zeros_8(rows: int, columns: int) -> Rows:
    """An array of uint8 [rows, columns]."""
    return _LazyRows(columns)


def zeros_32(rows: int, columns: int) -> Rows:
    """An array of int32 [rows, columns]."""
    return _LazyRows(columns)


def zeros_64(rows: int, columns: int) -> Rows:
    """An array of int64 [rows, columns]."""
    return _LazyRows(columns)


class _LazyRows(dict[int, list[int]]):
    """Rows of zeros, each made when it is first read: kernels use few rows of a large table."""

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def __missing__(self, row: int) -> list[int]:
        made = self[row] = [0] * self._columns
        return made


def bit_length(value: int) -> int:
    """Number of bits of a value 0 .. 2^63 - 1."""
    return value.bit_length()


def _teach_numba() -> None:
    """Register with numba the parts that have been defined since the last call."""
    from numba.extending import register_jitable

    if not _taught:
        _teach_basics()
        _taught.append(True)
    while _parts:
        register_jitable(_nrt=False)(_parts.pop())


_taught: list[bool] = []


def _teach_basics() -> None:
    """Register with numba the compiled forms of the functions that kernels are written with."""
    from numba.extending import overload

    overload(as_int64)(lambda value: lambda value: np.int64(value))
    overload(as_uint64)(lambda value: lambda value: np.uint64(value))
    overload(zeros)(lambda length: lambda length: np.zeros(length, np.int64))
    overload(zeros_8)(lambda rows, columns: lambda rows, columns: np.zeros((rows, columns), np.uint8))
    overload(zeros_32)(lambda rows, columns: lambda rows, columns: np.zeros((rows, columns), np.int32))
    overload(zeros_64)(lambda rows, columns: lambda rows, columns: np.zeros((rows, columns), np.int64))
    overload(bit_length)(lambda value: _counted_bits)


def _counted_bits(value):  # type: ignore[no-untyped-def]
    length = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> step:
            length += step
            value >>= step
    return length + value
