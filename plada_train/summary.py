"""A report as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

#: Bits per second of links that the paper is about, and what they are.
LINKS = {
    80: "80 bit/s, an acoustic modem at long range",
    5000: "5 kbit/s, an acoustic modem at short range",
    500: "500 bit/s, from Titan to Earth",
}


def summary(report: dict[str, Any]) -> Table:
    """What a run came to. Airtimes are those of the payload's bits alone, without framing or delay."""
    from rich.table import Table

    size, paper = report["payload_bytes"], report["paper_zstd_bytes"]
    table = Table(show_header=False, box=None)
    table.add_row("teacher accuracy", f"{report['teacher_accuracy']:.1%}")
    table.add_row("images kept", f"{report['kept']} of {report['reference_size']}, {report['num_classes']} classes")
    table.add_row("payload", f"[bold]{size} bytes[/bold]; in the paper's coding (zstd-19) {paper}")
    for bits_per_second, link in LINKS.items():
        table.add_row("", f"{_duration(8 * size / bits_per_second)} over {link}")
    chance = 1 / report["num_classes"]
    table.add_row("student accuracy", f"[bold]{report['student_accuracy']:.1%}[/bold] (chance: {chance:.0%})")
    table.add_row("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in report["seconds"].items()))
    return table


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
