"""Run commands of `plada` within the tests' process, and prepare processes that hear Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

from click.testing import CliRunner, Result

from plada_codec.cli.main import main


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """Run a command; return its result."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def ok(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """Run a command that must succeed."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def fails(exit_code: int, *arguments: str | Path, stdin: bytes | None = None) -> str:
    """Run a command that must fail; return its error, which must be one line."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = result.stderr.strip().splitlines()
    return line


def hear_ctrl_c() -> None:
    """Have a new process hear an interrupt: one that a script began in the background ignores it, and so would this."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
