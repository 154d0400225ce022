"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Said of work that may compile kernels, which takes some ten seconds.
FIRST_RUN = "the first run on a machine compiles its kernels"


@contextmanager
def progress_bar(what: str, unit: str | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """A bar labelled `what`; yields what moves it, called with the steps done and their number (None: unknown).

    It shows the time left, and where `unit` says what a step is, such as "images", how many are done a second.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, of the last half minute."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit}/s", style="progress.data.speed")

    columns = [*Progress.get_default_columns(), *([] if unit is None else [Rate()])]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
