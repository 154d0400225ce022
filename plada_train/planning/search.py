"""The search: successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) over candidates.

The first rung measures candidates in short trainings of the proxies: as many as asked for, or all. The next rung
measures the best third for each budget by longer trainings, and so on. The winner comes from the last rung. If the
time is limited, each rung has a share of it. Whenever the search ends, the best measured candidate is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from plada_train.planning.candidates.grid import Candidate
from plada_train.planning.measurements import Measurement, MeasurementLog
from plada_train.planning.plan_file import StopReason

#: Training steps of the proxies on each rung, as shares of the steps on the last rung.
_STEPS = (0.125, 0.35, 1.0)
#: In fewer steps, a network with random weights learns almost nothing from any payload.
_LEAST_STEPS = 40
#: One in this many candidates of each budget comes to the next rung.
KEEP_ONE_OF = 3

#: Begins the measurement of a candidate on a rung.
Submit = Callable[[Candidate, int], "Future[Measurement | None]"]
#: Called with the rung, its measurements, and the progress of the search, 0 .. 1.
OnMeasurement = Callable[[int, "dict[Candidate, Measurement]", float], None]


@dataclass(frozen=True)
class SearchLimits:
    """Limits of a search.

    Attributes:
        budgets: largest sizes of a payload, in bytes.
        candidates: number of candidates to measure on the first rung; None: as many as the time allows.
        minutes: time limit of the search, earlier calls included.
    """

    budgets: tuple[int, ...]
    candidates: int | None
    minutes: float


def rungs_of(steps: int) -> tuple[int, ...]:
    """Training steps of the proxies on each rung; `steps` are those of the last rung."""
    return tuple(max(round(share * steps), min(_LEAST_STEPS, steps)) for share in _STEPS)


@dataclass
class SearchResult:
    """The result of a search: for each rung, the number of candidates to measure, and the measurements.

    `stopped` is the reason if the search ended early: "time" or "interrupt".
    """

    candidate_counts: list[int] = field(default_factory=list)
    rungs: list[dict[Candidate, Measurement]] = field(default_factory=list)
    stopped: StopReason | None = None

    def last_rung(self, candidate: Candidate) -> int | None:
        """The last rung on which a candidate was measured."""
        return max((number for number, rung in enumerate(self.rungs) if candidate in rung), default=None)

    def winner(self, budget_bytes: int) -> Candidate | None:
        """The most accurate candidate within a budget, the smallest among equals; None if none was measured.

        It comes from the last rung, unless that rung ended before it measured the best candidate of the previous rung.
        """
        best = None
        for rung in self.rungs:
            fitting = {one: result for one, result in rung.items() if result.payload_bytes <= budget_bytes}
            if not fitting or (best is not None and best not in fitting):
                break
            best = min(fitting, key=lambda one: (-fitting[one].accuracy, fitting[one].payload_bytes))
        return best

    def frontier(self) -> list[Candidate]:
        """Candidates of the last rung that no other candidate beats in both bytes and accuracy, sorted by bytes."""
        rung = next((rung for rung in reversed(self.rungs) if rung), {})
        best, found = -1.0, []
        for one in sorted(rung, key=lambda one: (rung[one].payload_bytes, -rung[one].accuracy)):
            if rung[one].accuracy > best:
                best = rung[one].accuracy
                found.append(one)
        return found


def promote(
    measured: dict[Candidate, Measurement],
    budgets: Sequence[int],
    always: Iterable[Candidate] = (),
    more: Callable[[Candidate], Iterable[Candidate]] = lambda candidate: (),
) -> list[Candidate]:
    """Choose the candidates of the next rung: the most accurate first, budgets taking turns.

    The budget of the best candidate comes first. So the next rung has measured the best candidates of each budget,
    wherever it ends.

    Args:
        measured: the measurements of the rung.
        budgets: in bytes. A candidate belongs to the smallest budget that its payload fits; without one, it cannot win.
        always: candidates that the next rung always has, after the best of each budget.
        more: returns further candidates that follow a promoted candidate directly.
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


class _RungWork:
    """The work of one rung: finished measurements, running ones, and the remaining candidates."""

    def __init__(self, rung: int, tried: Sequence[Candidate], log: MeasurementLog) -> None:
        self.rung = rung
        self.tried = tried
        self.measured = log.measured(tried, rung)
        self.left = deque(one for one in tried if not log.knows(one, rung))
        self.running: dict[Future[Measurement | None], Candidate] = {}
        self._log = log

    def begin(self, submit: Submit) -> None:
        """Begin the measurement of the next candidate."""
        one = self.left.popleft()
        self.running[submit(one, self.rung)] = one

    def wait(self) -> None:
        """Wait for running measurements for at most a second; keep the finished ones."""
        for done in wait(self.running, timeout=1, return_when=FIRST_COMPLETED).done:
            one, measurement = self.running.pop(done), done.result()
            self._log.add(one, self.rung, measurement)
            if measurement is not None:
                self.measured[one] = measurement

    @property
    def share_done(self) -> float:
        """Share of the candidates that are measured, 0 .. 1."""
        return 1 - (len(self.left) + len(self.running)) / max(len(self.tried), 1)


def _share_of_time(left: int, tried: int, rungs: Sequence[int]) -> float:
    """The largest share of the remaining time that a rung may need, so that time is left for the next rungs.

    `left` of the `tried` candidates are not measured yet. The time of a measurement is proportional to its steps or, if
    starting it takes most of the time, always the same. `rungs` are the steps of this rung and the next ones.
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
    log: MeasurementLog,
    submit: Submit,
    workers: int,
    until_s: float,
    on_measurement: OnMeasurement,
    *,
    rungs: Sequence[int],
    most: int | None = None,
    always: Sequence[Candidate] = (),
    more: Callable[[Candidate], Iterable[Candidate]] = lambda candidate: (),
) -> SearchResult:
    """Measure candidates rung by rung.

    Args:
        candidates: candidates of the first rung, in the order in which they are tried.
        budgets: see `promote`.
        log: earlier measurements; new ones are added to it.
        submit: begins a measurement.
        workers: number of measurements at a time.
        until_s: value of `log.seconds` until which measurements may begin, except that of the first candidate of each
            budget. Each rung has an equal share of the time since the search began; if `most` is given, each rung has
            the time that it needs, if the time suffices.
        on_measurement: called after each measurement.
        rungs: training steps of each rung.
        most: number of candidates to measure on the first rung; None: all. With it, the measured candidates do not
            depend on the time, unless the time is too short for all of them.
        always: candidates that every rung has.
        more: returns the candidates that the last rung adds for a promoted candidate.
    """
    found = SearchResult()
    begin_s = log.began_s()
    wanted, sure = list(candidates), set(candidates[: len(budgets)])
    for rung in range(len(rungs)):
        found.candidate_counts.append(len(wanted))
        work = _RungWork(rung, wanted[:most] if rung == 0 else wanted, log)
        if most is None:
            ends_s = begin_s + (until_s - begin_s) * (rung + 1) / len(rungs)
        else:
            share = _share_of_time(len(work.left), len(work.tried), rungs[rung:])
            ends_s = log.seconds + (until_s - log.seconds) * share
        try:
            while True:
                while (
                    work.left
                    and len(work.running) < workers
                    and found.stopped != "interrupt"
                    # However short the time, the first rung measures a candidate for each budget
                    and (
                        log.seconds < ends_s
                        or (rung == 0 and (work.left[0] in sure or not (work.measured or work.running)))
                    )
                ):
                    work.begin(submit)
                if not work.running:
                    break
                work.wait()
                on_measurement(rung, work.measured, max(log.seconds / until_s, (rung + work.share_done) / len(rungs)))
            if work.left:
                found.stopped = found.stopped or "time"
        except KeyboardInterrupt:
            # Further rungs have only the measurements of earlier calls
            found.stopped = "interrupt"
        # In the order of the candidates, not of time, so that equal candidates compete alike in every call
        found.rungs.append(log.measured(work.tried, rung))
        is_before_last = rung == len(rungs) - 2
        wanted = promote(found.rungs[-1], budgets, always, more if is_before_last else lambda candidate: ())
    return found
