"""The search: successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) over candidates.

The first candidates are measured by short trainings of the proxies: so many as are asked for, or all; the best third
for each budget by longer ones; and so on. The answer is taken from the last rung. The time may be limited, too: each
rung then ends with its share of it. Whatever ends the search, the best of what was measured is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from plada_train.planning.candidates import Candidate
from plada_train.planning.measurements import Log, Measurement
from plada_train.planning.plan_file import Stopped

#: How many rungs there are, and steps of the proxies' trainings as shares of those of the last one.
_STEPS = (0.125, 0.35, 1.0)
#: In fewer than so many a network from scratch learns next to nothing, whatever it learns from.
_LEAST_STEPS = 40
#: Of each budget, so many of a rung's candidates for one of the next.
KEEP_ONE_OF = 3

#: Begins the measurement of a candidate on a rung.
Submit = Callable[[Candidate, int], "Future[Measurement | None]"]
#: Told of the rung, of what is measured on it, and how far the search is, 0 .. 1.
Tell = Callable[[int, "dict[Candidate, Measurement]", float], None]


@dataclass(frozen=True)
class SearchLimits:
    """Limits of a search.

    Attributes:
        budgets: largest sizes of a payload, in bytes.
        candidates: number of candidates to measure on the first rung; None: as many as there is time for.
        minutes: time of the search, earlier calls included.
    """

    budgets: tuple[int, ...]
    candidates: int | None
    minutes: float


def rungs_of(steps: int) -> tuple[int, ...]:
    """Steps of the proxies' trainings, rung by rung, where those of the last have so many."""
    return tuple(max(round(share * steps), min(_LEAST_STEPS, steps)) for share in _STEPS)


@dataclass
class Found:
    """What a search found: of each rung, how many candidates were to be measured, and those that were.

    `stopped` says what ended it before it had measured all that it would: "time", "interrupt", or nothing.
    """

    asked: list[int] = field(default_factory=list)
    rungs: list[dict[Candidate, Measurement]] = field(default_factory=list)
    stopped: Stopped | None = None

    def last(self, candidate: Candidate) -> int | None:
        """The last rung that a candidate was measured on."""
        return max((number for number, rung in enumerate(self.rungs) if candidate in rung), default=None)

    def winner(self, budget_bytes: int) -> Candidate | None:
        """The most accurate candidate within a budget, of equal ones the smallest; None if none was measured.

        Of the last rung, but for those that were cut before they came to the best of the rung before: what else they
        have is no better.
        """
        best = None
        for rung in self.rungs:
            fitting = {one: said for one, said in rung.items() if said.payload_bytes <= budget_bytes}
            if not fitting or (best is not None and best not in fitting):
                break
            best = min(fitting, key=lambda one: (-fitting[one].accuracy, fitting[one].payload_bytes))
        return best

    def frontier(self) -> list[Candidate]:
        """Candidates of the last rung than which no other is both smaller and more accurate, by bytes."""
        rung = next((rung for rung in reversed(self.rungs) if rung), {})
        best, found = -1.0, []
        for one in sorted(rung, key=lambda one: (rung[one].payload_bytes, -rung[one].accuracy)):
            if rung[one].accuracy > best:
                best = rung[one].accuracy
                found.append(one)
        return found


def promoted(
    measured: dict[Candidate, Measurement],
    budgets: Sequence[int],
    always: Iterable[Candidate] = (),
    more: Callable[[Candidate], Iterable[Candidate]] = lambda candidate: (),
) -> list[Candidate]:
    """The candidates of the next rung, by what they are worth, every budget in its turn.

    The budget of the best comes first: wherever the next rung is cut, it has the best of what it has for a budget.

    Args:
        measured: what the rung found.
        budgets: in bytes; a candidate is for the smallest that its payload fits; one that fits none cannot win.
        always: those that the next rung is to have in any case; after the best for each budget.
        more: further candidates that one of them brings along, right behind it.
    """
    by_budget: dict[int, list[Candidate]] = {}
    for one in sorted(measured, key=lambda one: -measured[one].accuracy):
        size = measured[one].payload_bytes
        if fitting := [budget for budget in budgets if budget >= size]:
            by_budget.setdefault(min(fitting), []).append(one)
    best = [
        [with_more for one in ranked[: -(-len(ranked) // KEEP_ONE_OF)] for with_more in (one, *more(one))]
        for ranked in by_budget.values()
    ]
    turns = [one for turn in zip_longest(*best) for one in turn if one is not None]
    first = len(best)
    return list(dict.fromkeys(chain(turns[:first], (one for one in always if one in measured), turns[first:])))


def _share(left: int, tried: int, rungs: Sequence[int]) -> float:
    """The most of the time that is left which a rung can need, for the next ones to have theirs.

    Of `tried` candidates `left` are not measured yet. A measurement takes as long as its steps, or, where nothing but
    its beginning takes time, as long as any other. `rungs` are the steps of this rung and the next ones.
    """
    counts = [left]
    for _ in rungs[1:]:
        tried = -(-tried // KEEP_ONE_OF)
        counts.append(tried)
    by_steps = [count * steps for count, steps in zip(counts, rungs, strict=True)]
    return max(each[0] / max(sum(each), 1) for each in (counts, by_steps))


def search(
    candidates: Sequence[Candidate],
    budgets: Sequence[int],
    log: Log,
    submit: Submit,
    workers: int,
    until_s: float,
    tell: Tell,
    *,
    rungs: Sequence[int],
    most: int | None = None,
    always: Sequence[Candidate] = (),
    more: Callable[[Candidate], Iterable[Candidate]] = lambda candidate: (),
) -> Found:
    """Measures candidates rung by rung.

    Args:
        candidates: of the first rung, in the order in which they are tried.
        budgets: see `promoted`.
        log: what was measured before; what is measured now is added to it.
        submit: begins a measurement.
        workers: how many measurements go on at a time.
        until_s: what `log.seconds` is when the last measurement may begin, but for the first candidate of each budget.
            Each rung has an equal share of the time since the search began or, if `most` is given, all that it needs
            where the time suffices.
        tell: told of every measurement.
        rungs: steps of each rung, to say how far the search is.
        most: how many candidates are measured on the first rung, if not all. What is measured then does not depend on
            time, unless that is too short for all of it.
        always: candidates that every rung is to have.
        more: what a candidate of the last rung brings along.
    """
    found = Found()
    begin_s = log.began_s()
    wanted, sure = list(candidates), set(candidates[: len(budgets)])
    for rung in range(len(rungs)):
        found.asked.append(len(wanted))
        tried = wanted[:most] if rung == 0 else wanted
        measured = log.measured(tried, rung)
        left = deque(one for one in tried if not log.knows(one, rung))
        if most is None:
            ends_s = begin_s + (until_s - begin_s) * (rung + 1) / len(rungs)
        else:
            ends_s = log.seconds + (until_s - log.seconds) * _share(len(left), len(tried), rungs[rung:])
        running: dict[Future[Measurement | None], Candidate] = {}
        try:
            while True:
                while (
                    left
                    and len(running) < workers
                    and found.stopped != "interrupt"
                    and (log.seconds < ends_s or (rung == 0 and (left[0] in sure or not (measured or running))))
                ):
                    one = left.popleft()
                    running[submit(one, rung)] = one
                if not running:
                    break
                for done in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    one, result = running.pop(done), done.result()
                    log.add(one, rung, result)
                    if result is not None:
                        measured[one] = result
                of_rung = 1 - (len(left) + len(running)) / max(len(tried), 1)
                tell(rung, measured, max(log.seconds / until_s, (rung + of_rung) / len(rungs)))
            if left:
                found.stopped = found.stopped or "time"
        except KeyboardInterrupt:
            # Further rungs are of what earlier calls measured
            found.stopped = "interrupt"
        # In the order of the candidates, not of the clock: equal ones compete alike in every call
        found.rungs.append(log.measured(tried, rung))
        is_before_last = rung == len(rungs) - 2
        wanted = promoted(found.rungs[-1], budgets, always, more if is_before_last else lambda candidate: ())
    return found
