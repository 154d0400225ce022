"""Print reports and plans as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plada_codec.cli.terminal import print_table, say

if TYPE_CHECKING:
    from rich.table import Table

    from plada_train.data.leakage import LeakageReport
    from plada_train.planning.plan_file import Plan
    from plada_train.report.run_report import RunReport

#: Links like those of the paper: acoustic modems at long range and at short range, and a link from Titan.
LINKS = ("umodem-fsk0", "uwm-5k", "titan-dte")


def print_leakage(report: LeakageReport) -> None:
    """Print the number of leaked images of each target, and each pair of copies."""
    counts = [
        (each.target, str(each.images), f"{each.leaked} ({each.leaked / each.images:.2%})") for each in report.targets
    ]
    print_table(["target", "images", "also in the reference set"], counts)
    pairs = [pair for each in report.targets for pair in each.pairs]
    if pairs:
        say("")
        say("difference, image of the target, image of the reference set")
    for pair in pairs:
        say(f"{pair.difference:.4f}  {pair.target}: {pair.target_name}  {pair.reference}: {pair.reference_name}")


def print_plan(plan: Plan) -> None:
    """Print the frontier of a plan, its winners, and the baselines beside them.

    Accuracies are those of proxies, and compare only where these learnt for as many steps.
    """
    roles: dict[int, str] = {}
    for winner in plan.winners:
        roles = {baseline.id: "baseline" for baseline in plan.baselines_beside(winner)} | roles
        if winner.candidate is not None:
            roles[winner.candidate] = f"chosen for {winner.budget_bytes} bytes"
    rows = [
        (
            str(candidate.payload_bytes),
            f"{candidate.accuracy:.1%}",
            str(plan.rungs[candidate.rung].steps),
            str(candidate.kept),
            roles.get(candidate.id, ""),
            candidate.name,
        )
        for candidate in sorted(plan.candidates, key=lambda candidate: candidate.payload_bytes)
        if candidate.id in {*plan.frontier, *roles}
    ]
    print_table(["bytes", "accuracy", "steps", "kept", "", "selection"], rows, text=(4, 5))


def result_table(report: RunReport) -> Table:
    """Format the result of a run as a table. Airtimes are as `plada budget` computes them."""
    from rich.table import Table

    from plada_codec.links.profiles import link
    from plada_codec.links.units import show_seconds
    from plada_train.report.gather import link_time

    size = report.payload_bytes
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("teacher accuracy", f"{report.teacher_accuracy:.1%}")
    if plan := report.plan:
        chosen = plan.candidate
        table.add_row("planner's choice", f"{chosen.name}, of {plan.budget_bytes} bytes")
        others = [f"{each.name} {each.accuracy:.1%}" for each in plan.baselines if each.id != chosen.id]
        table.add_row("", "; ".join([f"{chosen.accuracy:.1%} by proxies", *others]))
        first = plan.rungs[0]
        ended = {"time": "its minutes did not suffice", "interrupt": "interrupted", None: "all that was asked"}
        table.add_row("", f"{first.measured} of {first.candidates} candidates tried: {ended[plan.stopped]}")
    table.add_row("images kept", f"{report.kept} of {report.reference_size}, {report.num_classes} classes")
    paper = f"in the paper's coding (zstd-19) {report.paper_zstd_bytes}"
    table.add_row("payload", f"[bold]{size} bytes[/bold]; {paper}")
    for link_id in LINKS:
        sent = link_time(size, link(link_id))
        airtime = "cannot be sent" if sent.airtime_s is None else f"{show_seconds(sent.airtime_s)} on the air"
        table.add_row("", f"{airtime}: {sent.name}")
    chance = 1 / report.num_classes
    table.add_row("student accuracy", f"[bold]{report.student_accuracy:.1%}[/bold] (chance: {chance:.0%})")
    table.add_row("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in report.seconds.items()))
    return table
