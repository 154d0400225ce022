"""The registry of airtime models, row by row (spec/link-budget.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields

from plada_codec.errors import LinkError
from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.airtime.constant_rate import ConstantRate
from plada_codec.links.airtime.fixed_time import FixedTime
from plada_codec.links.airtime.janus import Janus
from plada_codec.links.airtime.lora import Lora

#: By the name that a profile has in `model`.
AIRTIME_MODELS: Mapping[str, type[AirtimeModel]] = {
    "constant-rate": ConstantRate,
    "fixed-time": FixedTime,
    "lora": Lora,
    "janus": Janus,
}


def airtime_model(name: str | None, numbers: Mapping[str, float]) -> AirtimeModel | None:
    """The model of a profile, with its numbers; None where there is neither a name nor a number.

    Raises:
        LinkError: (`profile`) if there is no such model, or these are not its numbers; (`value`) if one of them is
            outside its bounds.
    """
    if name is None and not numbers:
        return None
    if name is None or name not in AIRTIME_MODELS:
        raise LinkError(f"there is no model {name!r}: there are {', '.join(AIRTIME_MODELS)}", rule="profile")
    if not _takes(AIRTIME_MODELS[name], numbers):
        message = f"the model {name} does not go with {', '.join(numbers) or 'no numbers'}"
        raise LinkError(message, rule="profile")
    return AIRTIME_MODELS[name](**numbers)


def model_of_numbers(numbers: Mapping[str, float]) -> AirtimeModel | None:
    """The first model that has all these numbers and needs no others; None if there is none.

    >>> model_of_numbers({"rate_bps": 80})
    ConstantRate(rate_bps=80)
    """
    for model in AIRTIME_MODELS.values():
        if numbers and _takes(model, numbers):
            return model(**numbers)
    return None


def _takes(model: type[AirtimeModel], numbers: Mapping[str, float]) -> bool:
    """Whether these are numbers of the model, and all that have no default."""
    needed = {field.name for field in fields(model) if field.default is MISSING}
    return needed <= numbers.keys() <= model.quantities().keys()
