"""Runs commands of `plada` within the tests' process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from plada_codec.cli import main


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """What a command does."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def ok(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """What a command does that must end well."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def fails(exit_code: int, *arguments: str | Path, stdin: bytes | None = None) -> str:
    """The error, which is one line on standard error, and no traceback."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == exit_code, (result.exit_code, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    (line,) = result.stderr.strip().splitlines()
    return line
