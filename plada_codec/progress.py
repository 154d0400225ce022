"""Progress of long work: the type of progress callbacks, and a progress bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: Called with the number of steps done and of all steps.
Progress: TypeAlias = Callable[[int, int], None]

#: Work that takes less time than this shows no bar.
_DELAY_S = 2.0
#: For the label of work that may compile kernels, which takes some seconds.
FIRST_RUN = "the first large one on a machine compiles its kernels"


def no_progress(done: int, total: int) -> None:
    """A Progress that shows nothing."""


class ProgressBar:
    """A Progress that moves a bar, if there is one."""

    def __init__(self, bars: Bars | None = None, bar: TaskID | None = None) -> None:
        self._bars, self._bar = bars, bar

    def __call__(self, done: int, total: int | None) -> None:
        """Move the bar; `total` is None if the number of steps is unknown."""
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total)

    def label(self, text: str) -> None:
        """Change the label of the bar."""
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, description=text)


@contextmanager
def progress_bar(label: str, unit: str | None = None) -> Iterator[ProgressBar]:
    """Show a bar during the block, if standard error is a terminal. It appears after two seconds.

    It shows the time left, and the rate where `unit` names the steps, such as "images".
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield ProgressBar()
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps per second, over the last half minute."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit}/s", style="progress.data.speed")

    columns = [*Bars.get_default_columns(), *([] if unit is None else [Rate()])]
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    bar = bars.add_task(label, total=None)
    delay = Timer(_DELAY_S, bars.start)
    delay.daemon = True
    delay.start()
    try:
        yield ProgressBar(bars, bar)
    finally:
        delay.cancel()
        delay.join()
        if bars.live.is_started:
            bars.stop()
