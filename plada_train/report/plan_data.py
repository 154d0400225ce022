"""What `plan.json` says: candidates as points of a chart, and how far the planner came."""

from __future__ import annotations

from typing import Any

from plada_train.charts.values import Point
from plada_train.report.json_checks import count, share
from plada_train.report.model import Rung, Search


def points(plan: dict[str, Any]) -> tuple[Point, ...]:
    """The winners of what `plan.json` says, and all candidates of the last rung.

    Others were measured in shorter trainings, and do not compare with them: the name of such a winner says so.
    """
    last = max(count(each["rung"]) for each in plan["candidates"] if each["rung"] is not None)
    frontier, chosen = set(plan["frontier"]), largest_winner(plan)["candidate"]
    winners = {winner["candidate"] for winner in plan["winners"]}
    steps = [count(rung["steps"], 1) for rung in plan["rungs"]]
    return tuple(
        Point(
            payload_bytes=count(each["payload_bytes"], 1),
            accuracy=share(each["accuracy"]),
            series=str(each["baseline"] or "candidates"),
            name=str(each["name"]) + (f" (measured in {steps[each['rung']]} steps)" if each["rung"] != last else ""),
            is_frontier=each["id"] in frontier,
            is_chosen=each["id"] == chosen,
            steps=steps[each["rung"]],
        )
        for each in plan["candidates"]
        if each["rung"] == last or each["id"] in winners
    )


def search(plan: dict[str, Any]) -> Search:
    """How far the planner came."""
    rungs = (Rung(*(count(rung[what]) for what in ("steps", "candidates", "measured"))) for rung in plan["rungs"])
    stopped = None if plan["stopped"] is None else str(plan["stopped"])
    return Search(tuple(rungs), stopped, tuple(map(str, plan["proxies"])), count(plan["held_out_images"]))


def largest_winner(plan: dict[str, Any]) -> dict[str, Any]:
    """The winner of the largest budget for which there is one."""
    found = [winner for winner in plan["winners"] if winner["candidate"] is not None]
    winner: dict[str, Any] = max(found, key=lambda winner: winner["budget_bytes"])
    return winner


def candidate_of(plan: dict[str, Any], winner: dict[str, Any]) -> dict[str, Any]:
    """The entry of a winner's candidate in `plan.json`."""
    return next(each for each in plan["candidates"] if each["id"] == winner["candidate"])


def baselines_beside(plan: dict[str, Any], winner: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each baseline, the most accurate entry within a winner's budget, of those measured on the same rung."""
    fitting = [
        each
        for each in plan["candidates"]
        if each["baseline"] and each["rung"] == winner["rung"] and each["payload_bytes"] <= winner["budget_bytes"]
    ]
    return list({each["baseline"]: each for each in sorted(fitting, key=lambda each: each["accuracy"])}.values())


def ended_early(plan: dict[str, Any]) -> str | None:
    """Why a search measured less than it was asked for; None if it did not."""
    minutes = f"the planner's {plan['minutes']:g} minutes did not suffice"
    return {
        "time": f"{minutes}: another machine, or more --minutes, may choose otherwise",
        "interrupt": "the planner was interrupted: this is the best so far",
    }.get(plan["stopped"])
