"""Helpers of the command lines `plada` and `plada-train`: one-line errors, options, input and output.

Everything but click is imported where it is used, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import io
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar

import click

from plada_codec.errors import (
    FileError,
    InvalidArgument,
    LinkError,
    PladaError,
    PladaWarning,
    SourceError,
    printable,
)

if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn

    from plada_codec.links.loss import Loss

#: Piped output has no width and is not folded. Narrower terminals fold lines themselves.
_PIPED_COLUMNS, _LEAST_COLUMNS = 200, 80

_Command = TypeVar("_Command", bound=Callable[..., Any])


class OneLineErrors(click.Group):
    """A group of commands whose errors and warnings are one line each on standard error.

    Bad input exits with 1, wrong usage with 2. Signals that end the process unwind it first.
    """

    def main(self, *args: Any, **more: Any) -> Any:
        name = more.get("prog_name") or Path(sys.argv[0]).name
        _open_closed_streams()
        try:
            with _signals_unwind():
                return super().main(*args, **more)
        except (PladaError, OSError) as error:
            # Printed before a command is invoked: the help, the version
            complain(f"{name}: {message_of(error)}")
            sys.exit(1)

    def make_context(self, info_name: str | None, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(info_name, *args, **more)
        except click.UsageError as error:
            _complain_of_usage(error, info_name)
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        # File names need not be UTF-8; a name that cannot be printed must not be an error.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", PladaWarning)
                warnings.showwarning = _in_one_line(ctx.info_name, warnings.showwarning)
                return super().invoke(ctx)
        except click.UsageError as error:
            _complain_of_usage(error, ctx.command_path)
            ctx.exit(2)
        except BrokenPipeError:
            raise  # the reader of the output has stopped: click ends the process silently
        except (PladaError, OSError) as error:
            complain(f"{ctx.info_name}: {message_of(error)}")
            ctx.exit(1)
        except MemoryError:
            complain(f"{ctx.info_name}: out of memory")
            ctx.exit(1)
        except KeyboardInterrupt:
            complain(f"{ctx.info_name}: interrupted")
            ctx.exit(1)


def _complain_of_usage(error: click.UsageError, command: str | None) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        raise error  # click prints the help
    path = error.ctx.command_path if error.ctx else command
    message = error.format_message().removesuffix(".")
    complain(f"{path}: {message}{'' if message.endswith('?') else '.'} See '{path} --help'.")


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file would get its number, and what a library prints would go into that file. Without standard
    error, errors are not printed. Standard output stays an error: it is opened for reading.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 (open until the process ends)


class _Ended(BaseException):
    """A signal ends the process."""


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the process as Ctrl-C does, so that no temporary file stays, and then end it."""
    received: list[int] = []

    def unwind(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
        raise _Ended

    names = ("SIGTERM", "SIGHUP") if current_thread() is main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # One that is ignored stays so, as under nohup
    numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        for number in received:
            os.kill(os.getpid(), number)


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


def say(line: str) -> None:
    """Print one line on standard output, escaped as `printable` does."""
    click.echo(printable(line))


def complain(message: str) -> None:
    """Print one line on standard error, escaped as `printable` does. Work goes on if that fails."""
    try:
        click.echo(printable(message), err=True)
    except OSError:
        # At its end, Python flushes the rest once more: that must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


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


def share(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """A callback that reads a ratio of at most 1."""
    value = quantity("ratio")(ctx, parameter, text)
    if value is not None and value > 1:
        raise click.BadParameter(f"{text} is more than 1 (100%): write 30% or 0.3")
    return value


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


def lines_of(path: str) -> list[str]:
    """The lines of a text file, such as class names."""
    # Not splitlines(), which also splits at characters that a name may have.
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    except UnicodeDecodeError:
        raise FileError(f"{path}: class names must be UTF-8: save the file in UTF-8", rule="file") from None


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


def is_standard_output(output: str) -> bool:
    """Whether the name of an output is that of standard output."""
    from plada_codec.files import descriptor_of

    return output == "-" or descriptor_of(output) == 1


def check_not_input(output: str | Path, *inputs: str | Path | None) -> None:
    """Refuse an output that is one of the inputs, or a file in a folder of the inputs; links count as their files."""
    from plada_codec.files import is_input

    for source in inputs:
        if source is not None and is_input(output, source):
            written = "standard output" if output == "-" else output
            read = "is standard input" if source == "-" else f"would overwrite the input {source}"
            raise click.UsageError(f"{written} {read}: give another name.")


@contextmanager
def naming_file(source: str) -> Iterator[None]:
    """Put the file's name in front of an error's message. Errors about images name them already."""
    try:
        yield
    except SourceError:
        raise
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
        table.add_column(
            Text(printable(title)), justify="left" if is_text else "right", overflow="fold", no_wrap=not folds
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console()
    console.width = max(console.width, _LEAST_COLUMNS) if sys.stdout.isatty() else _PIPED_COLUMNS
    console.print(table)
