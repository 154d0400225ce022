"""Reports and plans as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plada_codec.cli.terminal import print_table
from plada_train.report.plan_data import baselines_beside

if TYPE_CHECKING:
    from rich.table import Table

#: Links like those that the paper is about: acoustic modems, at long range and at short, and from Titan.
LINKS = ("umodem-fsk0", "uwm-5k", "titan-dte")


def print_plan(plan: dict[str, Any]) -> None:
    """Prints the frontier of a plan, its winners, and the baselines beside them.

    Accuracies are those of proxies, and compare only where these learnt for as many steps.
    """
    found = [winner for winner in plan["winners"] if winner["candidate"] is not None]
    role = {each["id"]: "baseline" for winner in found for each in baselines_beside(plan, winner)}
    role |= {winner["candidate"]: f"chosen for {winner['budget_bytes']} bytes" for winner in found}
    shown = [each for each in plan["candidates"] if each["id"] in {*plan["frontier"], *role}]
    rows = [
        (
            str(each["payload_bytes"]),
            f"{each['accuracy']:.1%}",
            str(plan["rungs"][each["rung"]]["steps"]),
            str(each["kept"]),
            role.get(each["id"], ""),
            each["name"],
        )
        for each in sorted(shown, key=lambda each: each["payload_bytes"])
    ]
    print_table(["bytes", "accuracy", "steps", "kept", "", "selection"], rows, text=(4, 5))


def summary(report: dict[str, Any]) -> Table:
    """What a run came to. Airtimes are those of `plada budget`."""
    from rich.table import Table

    from plada_codec.links.profiles import link
    from plada_codec.links.units import show_seconds
    from plada_train.report.gather import link_time

    size, paper = report["payload_bytes"], report["paper_zstd_bytes"]
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("teacher accuracy", f"{report['teacher_accuracy']:.1%}")
    if plan := report["plan"]:
        chosen = plan["candidate"]
        table.add_row("planner's choice", f"{chosen['name']}, of {plan['budget_bytes']} bytes")
        others = [f"{each['name']} {each['accuracy']:.1%}" for each in plan["baselines"] if each["id"] != chosen["id"]]
        table.add_row("", "; ".join([f"{chosen['accuracy']:.1%} by proxies", *others]))
        first = plan["rungs"][0]
        ended = {"time": "its minutes did not suffice", "interrupt": "interrupted"}.get(
            plan["stopped"], "all that was asked"
        )
        table.add_row("", f"{first['measured']} of {first['candidates']} candidates tried: {ended}")
    table.add_row("images kept", f"{report['kept']} of {report['reference_size']}, {report['num_classes']} classes")
    table.add_row("payload", f"[bold]{size} bytes[/bold]; in the paper's coding (zstd-19) {paper}")
    for link_id in LINKS:
        sent = link_time(size, link(link_id))
        airtime = "cannot be sent" if sent.airtime_s is None else f"{show_seconds(sent.airtime_s)} on the air"
        table.add_row("", f"{airtime}: {sent.name}")
    chance = 1 / report["num_classes"]
    table.add_row("student accuracy", f"[bold]{report['student_accuracy']:.1%}[/bold] (chance: {chance:.0%})")
    table.add_row("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in report["seconds"].items()))
    return table
