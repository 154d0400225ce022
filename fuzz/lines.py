"""The lines of Python that an input reaches."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeAlias

from fuzz.paths import ROOT

#: A file, by its path in the checkout, and the number of a line.
Line: TypeAlias = tuple[str, int]

#: Functions that write, and are no part of a reader.
_WRITERS = re.compile(r"_?(write|append|to_bytes|parts|dumps?|schema|sort|deflated|slip$|length_prefixed$|time_mark$)")


def reader_lines(file: str) -> set[Line]:
    """The lines of the functions of a file that can be executed, but those of functions that write.

    The lines of modules and classes run when the file is imported: no input reaches them.
    """
    code = compile((ROOT / file).read_text(encoding="utf-8"), file, "exec")
    return {(file, number) for number in _function_lines(code, False)}


def _function_lines(code: CodeType, is_function: bool) -> Iterator[int]:
    if is_function:
        yield from {number for _, _, number in code.co_lines() if number} - {code.co_firstlineno}
    for each in code.co_consts:
        if isinstance(each, CodeType) and not _WRITERS.match(each.co_name):
            # A class runs when it is defined: its CodeType lacks the flag "optimized", which functions have.
            yield from _function_lines(each, is_function or bool(each.co_flags & 1))


@contextmanager
def reached(files: tuple[str, ...]) -> Iterator[set[Line]]:
    """A set to which the lines of these files are added while they are executed."""
    lines: set[Line] = set()
    names = {str(ROOT / file): file for file in files}

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        file = names.get(frame.f_code.co_filename)
        if file is None:
            return None

        def step(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            lines.add((file, frame.f_lineno))
            return step

        return step

    earlier = sys.gettrace()
    sys.settrace(enter)
    try:
        yield lines
    finally:
        sys.settrace(earlier)
