"""The base of all delivery strategies (spec/link-budget.md section 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.outcome import DeliveryOutcome


class Strategy(ABC):
    """A way to deliver an object: its formulas, and a simulation that plays the same rules frame by frame."""

    #: The strategy in a few words, for help texts.
    summary: ClassVar[str]
    #: The section of spec/link-budget.md that has the rules and the formulas.
    section: ClassVar[str]
    #: Whether the sender waits for answers of the receivers.
    waits_for_answers: ClassVar[bool] = False
    #: Whether the data frames hold symbols of a code, all of one length, so that extra symbols may be needed.
    is_coded: ClassVar[bool] = False
    #: The fields of `Conditions` that not all strategies use, and this one does.
    conditions: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def compute(self, job: DeliveryJob) -> DeliveryOutcome | None:
        """The outcome by formulas; None if there are no formulas for this job, and it has to be simulated.

        Raises:
            InvalidArgument, LinkError: as `plada_codec.links.delivery.deliveries.compute_delivery`.
        """

    @abstractmethod
    def simulate(self, job: DeliveryJob, trials: int, random: np.random.Generator) -> DeliveryOutcome:
        """The outcome of so many simulated deliveries, each to all receivers: means and quantiles.

        Raises:
            InvalidArgument, LinkError: as `plada_codec.links.delivery.deliveries.compute_delivery`.
        """
