"""The selection rules: a row for each, with the options that choose it on the command line.

To add one, write `plada_train/selection/<name>.py` with a subclass of `Rule`, and add its row to `SELECTION_RULES`
(see docs/extending/selection-rule.md). Options, reports and plans follow from the row. Nothing heavy is imported here:
a rule is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from plada_codec.errors import InputError

if TYPE_CHECKING:
    from plada_train.selection.rule import Rule


@dataclass(frozen=True)
class Option:
    """An option of the command line that sets a field of a selection rule.

    Attributes:
        flag: as it is written, such as "--safety-net".
        field: the field that it sets. No two rules have options with the same field.
        kind: float, int, bool for a flag, or Fraction for a number that stays as it is written.
        metavar: name of the value in the help.
        help: one sentence.
        default: the value if the option is not given. None (of a flag, False) for the first option of a rule.
    """

    flag: str
    field: str
    kind: type
    metavar: str
    help: str
    default: str | float | None = None

    def to_json(self, value: Any) -> Any:
        """A value of the field in plain JSON."""
        return str(value) if self.kind is Fraction and value is not None else value


@dataclass(frozen=True)
class SelectionRule:
    """A selection rule, its class and its options: a row of the registry.

    Attributes:
        name: name of the rule.
        rule: the subclass of `Rule`, as "module:class".
        title: the rule's word in the names of selections; empty for the default rule.
        description: meaning of the title, for the glossary of reports.
        options: its options. The first one chooses the rule; the others are refused without it. Only the default
            rule has none.
    """

    name: str
    rule: str
    title: str = ""
    description: str = ""
    options: tuple[Option, ...] = ()

    def load(self) -> type[Rule]:
        """Import the subclass of `Rule`."""
        found: type[Rule] = resolve_name(self.rule)
        return found


#: The first is the default.
SELECTION_RULES = (
    SelectionRule("lowest-cost", "plada_train.selection.lowest_cost:LowestCost"),
    SelectionRule(
        "safety-net",
        "plada_train.selection.safety_net:SafetyNet",
        "Safety-Net",
        "Keeps room for every class, as the surest images alone leave classes out. Its number, alpha: at 0 as much for "
        "each class, at 1 in proportion to its images, below 0 more for rare ones.",
        (
            Option(
                "--safety-net",
                "alpha",
                float,
                "ALPHA",
                "Quotas for the classes, n^ALPHA for n images of a class: 0 equal, 1 proportional, -0.2 the paper's.",
            ),
            Option(
                "--reserved", "reserved", Fraction, "P", "Share of the kept images that the quotas get.", default="1"
            ),
        ),
    ),
)

#: All options, by the field that they set.
OPTIONS = {option.field: option for row in SELECTION_RULES for option in row.options}
#: Keys in the JSON of every rule, so that readers of report.json and plan.json always find them.
_ALWAYS_IN_JSON = {"alpha": None, "reserved": "1"}


def row_of(options: Mapping[str, Any]) -> SelectionRule:
    """Find the row of the selection rule that options choose.

    Args:
        options: values by field, of any selection rules; missing options have their defaults.

    Raises:
        InputError: if options choose two rules, or belong to a rule that they do not choose.
    """
    given = {name for name, value in options.items() if OPTIONS[name].to_json(value) != OPTIONS[name].default}
    chosen = [row for row in SELECTION_RULES if row.options and row.options[0].field in given]
    if len(chosen) > 1:
        raise InputError(f"{chosen[0].options[0].flag} and {chosen[1].options[0].flag} exclude each other", rule="rule")
    row = chosen[0] if chosen else SELECTION_RULES[0]
    for other in SELECTION_RULES:
        for option in other.options:
            if other is not row and option.field in given:
                raise InputError(f"{option.flag} is for {other.options[0].flag}", rule="rule")
    return row


def make_rule(score: tuple[str, ...], inverse: bool, options: Mapping[str, Any]) -> Rule:
    """Make the rule that options choose. Arguments and errors: `Rule` and `row_of`."""
    row = row_of(options)
    own = {option.field for option in row.options}
    return row.load()(score, inverse, **{name: value for name, value in options.items() if name in own})


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """A rule in plain JSON: its scores, its direction, and its options by field."""
    values = asdict(rule)
    common = {"score": values.pop("score"), "inverse": values.pop("inverse")}
    return common | _ALWAYS_IN_JSON | {name: OPTIONS[name].to_json(value) for name, value in values.items()}


def rule_from_json(values: Mapping[str, Any]) -> Rule:
    """Make the rule that `rule_to_json` wrote. Raises InputError if the values are not of a rule."""
    options = dict(values)
    try:
        return make_rule(tuple(options.pop("score")), options.pop("inverse"), options)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{error} in a rule", rule="rule") from error
