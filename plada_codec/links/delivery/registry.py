"""The registry of delivery strategies, row by row (spec/link-budget.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping

from plada_codec.errors import InvalidArgument
from plada_codec.links.delivery.base import Strategy
from plada_codec.links.delivery.nack import Nack
from plada_codec.links.delivery.one_way import OneWay
from plada_codec.links.delivery.single import Single
from plada_codec.links.delivery.stop_and_wait import StopAndWait

#: By name, in the order in which budgets list them.
STRATEGIES: Mapping[str, Strategy] = {
    "one-way": OneWay(),
    "nack": Nack(),
    "stop-and-wait": StopAndWait(),
    "single": Single(),
}
#: The strategy of budgets that name none, and the strategy that it is compared with.
DEFAULT_STRATEGY, BASELINE_STRATEGY = "one-way", "stop-and-wait"


def strategy_named(name: str) -> Strategy:
    """The strategy of a name.

    Raises:
        InvalidArgument: (`value`) if there is no such strategy.
    """
    if name not in STRATEGIES:
        raise InvalidArgument(f"no strategy {name!r}: there are {', '.join(STRATEGIES)}", rule="value")
    return STRATEGIES[name]
