"""Options that make the recipes of models and trainings. Nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from plada_codec.cli.terminal import option_group
from plada_train.cli.fields import Command, field_option
from plada_train.cli.options import threads_option
from plada_train.recipe import Recipe

#: Fields of the recipe that `run` can set for each of its two models: all that depends on the model.
FIELDS_OF_A_MODEL = (
    "weights", "model_args", "image_size", "mean", "std", "freeze", "epochs", "batch_size", "learning_rate",
)  # fmt: skip
#: The two models of `run`.
MODELS = ("teacher", "student")


def _model_args(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name.isidentifier():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


compute_options = option_group(
    field_option(Recipe, "batch_size"),
    field_option(Recipe, "device"),
    field_option(Recipe, "workers"),
    threads_option("Number of threads of torch."),
)
recipe_options = option_group(
    field_option(Recipe, "weights", default="hub"),
    field_option(Recipe, "model_args", "--model-arg", "model_args", multiple=True, callback=_model_args),
    field_option(Recipe, "image_size"),
    field_option(Recipe, "mean"),
    field_option(Recipe, "std"),
    field_option(Recipe, "freeze"),
    field_option(Recipe, "epochs"),
    field_option(Recipe, "learning_rate"),
    field_option(Recipe, "warmup"),
    field_option(Recipe, "weight_decay"),
    # Teachers and students have different defaults
    field_option(Recipe, "label_smoothing", default=None),
    field_option(Recipe, "flip"),
    field_option(Recipe, "amp"),
    field_option(Recipe, "seed"),
    field_option(Recipe, "checkpoint_s"),
    compute_options,
)


def _option_of_one(model: str, name: str) -> Callable[[Command], Command]:
    """The option of `run` that sets a field of the recipe for the teacher or the student alone."""
    flag = {"model_args": "model-arg"}.get(name, name.replace("_", "-"))
    one, parameter = f"--{model}-{flag}", f"{model}_{name}"
    changes: dict[str, Any] = {"default": None, "help": f"--{flag} of the {model} alone."}
    if name == "freeze":
        one += f"/--no-{model}-{flag}"
    elif name == "model_args":
        changes |= {"multiple": True, "callback": _model_args, "help": f"A further --{flag} of the {model} alone."}
    return field_option(Recipe, name, one, parameter, **changes)


#: Options of `run` that set the fields of one of its models.
one_model_options = option_group(*(_option_of_one(model, name) for model in MODELS for name in FIELDS_OF_A_MODEL))


def options_of_models(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Split the options of `run` into those of the teacher's recipe and of the student's."""
    of_one = {model: {name: options.pop(f"{model}_{name}") for name in FIELDS_OF_A_MODEL} for model in MODELS}
    for own in of_one.values():
        own["model_args"] = {**options["model_args"], **own["model_args"]}
    return [options | {name: value for name, value in own.items() if value is not None} for own in of_one.values()]


def recipe_of(model: str, threads: int, options: dict[str, Any], **defaults: Any) -> Recipe:
    """Make the recipe from a command's options; `defaults` replace options that were not given."""
    import torch

    from plada_train.models.classifier import parse_weights

    torch.set_num_threads(threads)
    given = {name: value for name, value in options.items() if value is not None}
    if "weights" in given:
        given["weights"] = parse_weights(given["weights"])
    return Recipe(model=model, **(defaults | given))
