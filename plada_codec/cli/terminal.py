"""Helpers of the command lines `plada` and `plada-train`: one-line errors, options, input and output.

Everything but click is imported where it is used, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import io
import math
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from plada_codec.errors import FileError, InvalidArgument, LinkError, PladaError, PladaWarning

if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn

    from plada_codec.links.loss import Loss

#: Piped output has no width and is not folded. Narrower terminals fold lines themselves.
_PIPED_COLUMNS, _LEAST_COLUMNS = 200, 80

_Command = TypeVar("_Command", bound=Callable[..., Any])


class OneLineErrors(click.Group):
    """A group of commands whose errors and warnings are one line each on standard error.

    Bad input exits with 1, wrong usage with 2.
    """

    def main(self, *args: Any, **more: Any) -> Any:
        try:
            return super().main(*args, **more)
        except OSError as error:
            # Printed before a command is invoked: the help, the version
            complain(f"{more.get('prog_name') or Path(sys.argv[0]).name}: {message_of(error)}")
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        if sys.stdout is None:
            sys.stdout = _ClosedOutput()
        # File names need not be UTF-8; a name that cannot be printed must not be an error.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", PladaWarning)
                warnings.showwarning = _in_one_line(ctx.info_name, warnings.showwarning)
                return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else ctx.command_path
            message = error.format_message().removesuffix(".")
            complain(f"{path}: {message}{'' if message.endswith('?') else '.'} See '{path} --help'.")
            ctx.exit(2)
        except BrokenPipeError:
            raise  # the reader of the output has stopped: click ends the process silently
        except (PladaError, OSError) as error:
            complain(f"{ctx.info_name}: {message_of(error)}")
            ctx.exit(1)
        except MemoryError:
            complain(f"{ctx.info_name}: out of memory")
            ctx.exit(1)


def _in_one_line(command: str | None, show_others: Callable[..., None]) -> Callable[..., None]:
    """A `warnings.showwarning` that shows each of our warnings once, in one line.

    Those of other packages name lines of their source, which help no user: `show_others` shows them if the user asks
    for them (PYTHONWARNINGS, python -W).
    """
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        line = f"{command}: warning: {message}"
        if not issubclass(category, PladaWarning):
            if sys.warnoptions:
                show_others(message, category, *where, **more)
        elif line not in shown:
            shown.add(line)
            complain(line)

    return show


def printable(text: str) -> str:
    """A text in one line, without characters that change other text on a terminal: those are escaped.

    Names of files and classes may hold control characters, overrides of the writing direction, lone surrogates.
    """
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in text)


def say(line: str) -> None:
    """Print one line on standard output, escaped as `printable` does."""
    click.echo(printable(line))


def complain(message: str) -> None:
    """Print one line on standard error; characters that cannot be printed are escaped."""
    click.echo(printable(message), err=True)


def message_of(error: Exception) -> str:
    """The message of an error in one line, with the file's name if it is an error of the system with a file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


class RegistryChoice(click.Choice[str]):
    """A choice among the names of a registry, which is imported when the option or its help is used."""

    def __init__(self, module: str, registry: str) -> None:
        self._module, self._registry = module, registry
        self.case_sensitive = True

    def __getattr__(self, name: str) -> Any:
        if name != "choices":
            raise AttributeError(name)
        self.choices = tuple(getattr(importlib.import_module(self._module), self._registry))
        return self.choices


def option_group(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """One decorator for several options; the help lists them in this order."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def finite(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A callback that refuses NaN and infinity, which click's ranges allow."""
    for number in value if isinstance(value, tuple) else (value,):
        if number is not None and not math.isfinite(number):
            raise click.BadParameter(f"{number} is not a finite number")
    return value


def quantity(reader: str) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that reads a quantity with its unit. `reader` names a function of `plada_codec.links.units`."""

    def read(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        from plada_codec.links import units

        try:
            return None if text is None else getattr(units, reader)(text)
        except InvalidArgument as error:
            raise click.BadParameter(error.args[0]) from None

    return read


@contextmanager
def usage_errors(options: Mapping[str, str] = {}) -> Iterator[None]:
    """Turn errors about links and arguments into errors about the options that set them.

    Args:
        options: the command's parameter for each field that a message of an error may begin with.
    """
    try:
        yield
    except PladaError as error:
        if not isinstance(error, LinkError | InvalidArgument) or error.rule == "object":
            raise  # the file to send is empty: no option is wrong
        first, space, rest = str(error.args[0]).partition(" ")
        option = f"--{options[first].replace('_', '-')}" if first in options else first
        raise click.UsageError(f"{option}{space}{rest}") from None


def loss_of(rate: float, burst_frames: float | None) -> Loss:
    """The loss of the options --loss and --burst."""
    from plada_codec.links.loss import BurstyLoss, IndependentLoss

    return IndependentLoss(rate) if burst_frames is None else BurstyLoss(rate, burst_frames)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def input_of(source: str) -> str | BinaryIO:
    """The path `source`, or standard input for `-`."""
    return standard_input() if source == "-" else source


def read_bytes(source: str) -> bytes:
    """All bytes of a file, or of standard input for `-`."""
    return standard_input().read() if source == "-" else Path(source).read_bytes()


def standard_input() -> BinaryIO:
    """Standard input, in bytes."""
    return sys.stdin.buffer if sys.stdin else _closed("input")


def standard_output() -> BinaryIO:
    """Standard output, in bytes."""
    return sys.stdout.buffer


class _ClosedOutput(io.TextIOBase):
    """Replaces a closed standard output: writing to it is an error."""

    @property
    def buffer(self) -> NoReturn:
        _closed("output")

    def write(self, text: str) -> NoReturn:
        _closed("output")


def _closed(what: str) -> NoReturn:
    raise FileError(f"standard {what} is closed", rule="file")


def write_bytes(data: bytes, target: str) -> None:
    """Write a file atomically, or write to standard output for `-`."""
    from plada_codec.files import atomic_write

    if target == "-":
        stream = standard_output()
        with naming_device("standard output"):
            stream.write(data)
            stream.flush()
        return
    with atomic_write(target) as file:
        file.write(data)


@contextmanager
def naming_file(source: str) -> Iterator[None]:
    """Put the file's name in front of an error's message."""
    try:
        yield
    except PladaError as error:
        raise type(error)(f"{source}: {error.args[0]}", rule=error.rule, offset=error.offset) from None


@contextmanager
def naming_device(name: str) -> Iterator[None]:
    """Put a name into errors of the system without a name: those of reading and writing."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or name
        raise


def print_table(header: list[str], rows: Sequence[tuple[str, ...]], text: Collection[int] = (0,)) -> None:
    """Print a table: the columns `text` are text (of two columns, both are), the others are numbers.

    If the table is too wide, the last column is folded, provided that it is text.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for number, title in enumerate(header):
        is_text = number in text or len(header) == 2
        folds = is_text and number == len(header) - 1
        table.add_column(Text(title), justify="left" if is_text else "right", overflow="fold", no_wrap=not folds)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.width = max(console.width, _LEAST_COLUMNS) if sys.stdout.isatty() else _PIPED_COLUMNS
    console.print(table)
