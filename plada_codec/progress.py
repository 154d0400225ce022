"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Protocol

#: What is done sooner needs no bar.
_DELAY_S = 2.0
#: Said of work that may compile kernels, which takes some seconds.
FIRST_RUN = "the first large one on a machine compiles its kernels"


class Move(Protocol):
    """What moves a bar; `what`, if given, is its label from now on."""

    def __call__(self, done: int, total: int | None, what: str | None = None) -> None: ...


@contextmanager
def progress_bar(what: str, unit: str | None = None) -> Iterator[Move]:
    """A bar labelled `what`; yields what moves it, called with the steps done and their number (None: unknown).

    It comes after two seconds. It shows the time left, and where `unit` says what a step is, such as "images", how many
    are done a second.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, what=None: None
        return
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, of the last half minute."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit}/s", style="progress.data.speed")

    columns = [*Progress.get_default_columns(), *([] if unit is None else [Rate()])]
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    bar = bars.add_task(what, total=None)
    delay = Timer(_DELAY_S, bars.start)
    delay.daemon = True
    delay.start()
    try:
        yield lambda done, total, what=None: bars.update(bar, completed=done, total=total, description=what)
    finally:
        delay.cancel()
        delay.join()
        if bars.live.is_started:
            bars.stop()
