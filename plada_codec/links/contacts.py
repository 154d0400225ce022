"""Contact windows: when frames start that must lie within one (spec/link-budget.md section 3.3).

A window of `contact_s` begins in every `period_s`, the first at 0 s.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import LinkError

#: Of a quotient that ought to be whole.
_ROUNDING = 1e-9


def start_in_contact_s(
    ready_s: NDArray[np.float64], span_s: NDArray[np.float64], contact_s: float, period_s: float
) -> NDArray[np.float64]:
    """The start of frames that take `span_s` and could start at `ready_s`: at once if they fit, else with a contact.

    Raises:
        LinkError: (`contact`) if a frame is longer than a contact window.
    """
    _check_span(float(span_s.max()), contact_s)
    into_contact_s = ready_s - np.floor(ready_s / period_s + _ROUNDING) * period_s
    fits = into_contact_s + span_s <= contact_s * (1 + _ROUNDING)
    return np.where(fits, ready_s, _next_contact_s(ready_s, period_s))


def start_of_last_s(
    before: NDArray[np.float64], step_s: float, span_s: float, last_span_s: float, contact_s: float, period_s: float
) -> NDArray[np.float64]:
    """The start of the last of several frames.

    Args:
        before: number of frames before it; 0 or more.
        step_s: from the start of one of those to the start of the next one.
        span_s: from the start of one of those to its end.
        last_span_s: from the start of the last frame to its end.
        contact_s: length of a contact window.
        period_s: from the start of a window to the start of the next one.

    Raises:
        LinkError: (`contact`) if a frame is longer than a contact window.
    """
    _check_span(max(span_s, last_span_s), contact_s)
    per_contact = 1 + math.floor((contact_s - span_s) / step_s + _ROUNDING)
    cycles, place = np.divmod(before - 1, per_contact)  # of the last frame but one
    after_s = (place + 1) * step_s
    fits = (before > 0) & (after_s + last_span_s <= contact_s * (1 + _ROUNDING))
    cycle_s = _next_contact_s(np.asarray(per_contact * step_s), period_s)
    return cycles * cycle_s + np.where(fits, after_s, _next_contact_s(after_s, period_s))


def _next_contact_s(after_s: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    return np.ceil(after_s / period_s - _ROUNDING) * period_s


def _check_span(span_s: float, contact_s: float) -> None:
    if span_s > contact_s:
        raise LinkError(f"a frame takes {span_s:.4g} s, and a contact has {contact_s:g} s", rule="contact")
