"""A report shows everything that the folder holds, and names every part that is missing or damaged."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from html import unescape
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plada_codec import Payload, Universe, decode, encode
from plada_codec.errors import InputError
from plada_codec.links.profiles import links
from plada_train import json_files
from plada_train.report.contents import Contents
from plada_train.report.gather import IMAGES_PER_PERCENT, PARTS, PERCENTS, gather
from plada_train.report.page import render
from plada_train.scores.reference_scores import Scores
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import select
from plada_train.selection.safety_net import SafetyNet
from tests.helpers.examples import examples
from tests.helpers.schemas import assert_valid

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")]

DIGEST = bytes(range(32))
NAMES = ("cat", "dog", "owl", "sea <b>")
REFERENCE_SIZE = 120
CONFIG = {
    "model": "test_resnet",
    "model_args": {},
    "num_classes": len(NAMES),
    "class_names": NAMES,
    "image_size": 32,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
}
#: The parts of a run's folder, and what of a report needs each.
NEEDED_BY = {
    "report.json": {"confusions"},
    "scores": {"percentiles", "energies", "classes"},
    "payload.plada": {"energies", "classes", "anatomy"},
    "plan": {"points"},
}


def scores_of(size: int, num_classes: int, seed: int = 0, names: tuple[str, ...] | None = None) -> Scores:
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, size).astype(np.int32)
    energy, entropy = random.normal(-5, 3, (2, size)).astype(np.float32)
    return Scores(label, {"energy": energy, "entropy": entropy}, DIGEST, num_classes, names)


def report_of(payload: Payload, encoded: bytes, reference: Path) -> dict[str, Any]:
    recipe: dict[str, Any] = {"model": "test_resnet", "weights": None, "image_size": 32, "epochs": 2, "batch_size": 32}
    recipe |= {"learning_rate": 1e-3, "freeze": False, "seed": 0}
    confusion = [[3, 1, 0, 0], [0, 4, 0, 0], [1, 1, 2, 0], [0, 0, 0, 4]]
    return {
        "teacher_accuracy": 0.75,
        "student_accuracy": 0.5,
        "reference_size": payload.reference_size,
        "reference_digest": DIGEST.hex(),
        "num_classes": payload.num_classes,
        "class_names": NAMES,
        "kept": payload.kept,
        "payload_bytes": len(encoded),
        "paper_zstd_bytes": 222,
        "seconds": {"teacher": 1.0, "student": 2.0},
        "seeds": {"teacher": 0, "student": 0},
        "settings": {
            "task": None,
            "reference": str(reference),
            "target_train": "data/pets/pets-train-{000..001}.tar",
            "target_test": "data/pets/pets-test-000.tar",
            "keep": None,
            "kept": None,
            "max_bytes": 300,
            "planning": None,
            "rule": {"score": ["energy"], "inverse": False, "alpha": 0.0, "reserved": "1"},
            "offset": 0,
            "stride": 1,
            "class_names": False,
            "class_check": True,
            "soft_labels": False,
            "weights_tau": None,
            "teacher": recipe,
            "student": recipe,
            "threads": 1,
        },
        "versions": {"python": "3.11.0", "plada": "0.1.0"},
        "plan": None,
        "confusion": {"teacher": confusion, "student": confusion},
        "held_out_images": 20,
    }


def candidate(number: int, payload_bytes: int, accuracy: float, rung: int, **more: Any) -> dict[str, Any]:
    rule = {"score": ["energy", "loss"], "inverse": False, "alpha": 0.0, "reserved": "1"}
    entry = {"id": number, "name": f"number {number}", "rule": rule, "stride": 2, "offset": 1, "level_bytes": 300}
    measured = {"accuracies": {"test_resnet": accuracy}, "rung": rung, "accuracy": accuracy, "baseline": None}
    return entry | {"kept": 9, "payload_bytes": payload_bytes} | measured | more


def winner(budget_bytes: int, number: int | None, rung: int | None = 1) -> dict[str, Any]:
    return {"budget_bytes": budget_bytes, "candidate": number, "rung": rung}


def plan_of(payload_bytes: int) -> dict[str, Any]:
    return {
        "budgets": [100, 300],
        "minutes": 15.0,
        "stopped": None,
        "seconds": 81.2,
        "winners": [winner(300, 2), winner(100, 1)],
        "candidates_asked": None,
        "sending": {"class_names": False, "class_check": True, "soft_labels": False, "weights_tau": None},
        "candidates": [
            candidate(0, 250, 0.3, 1, baseline="lowest energy"),
            candidate(1, 90, 0.25, 1),
            candidate(2, payload_bytes, 0.5, 1),
            candidate(3, 200, 0.1, 0),
        ],
        "frontier": [1, 2],
        "rungs": [{"steps": 50, "candidates": 5, "measured": 4}, {"steps": 100, "candidates": 3, "measured": 3}],
        "proxies": ["test_resnet", "test_byobnet"],
        "image_size": 32,
        "reference_size": REFERENCE_SIZE,
        "reference_digest": DIGEST.hex(),
        "num_classes": len(NAMES),
        "class_names": NAMES,
        "held_out_images": 20,
        "train_images": 100,
        "proxy_accuracy": {"test_resnet": 0.69},
        "versions": {"python": "3.11.0"},
        "seed": 0,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with all its parts, and beside it its reference set, of noise."""
    folder = tmp_path_factory.mktemp("whole")
    reference = folder / "reference"
    reference.mkdir()
    random = np.random.default_rng(0)
    for i in range(REFERENCE_SIZE):
        Image.fromarray(random.integers(0, 256, (70, 90, 3)).astype(np.uint8)).save(reference / f"{i:03}.png")
    run = folder / "run"
    scores = scores_of(REFERENCE_SIZE, len(NAMES), names=NAMES)
    scores.save(run / "scores")
    payload, encoded = select(scores, kept=40, rule=SafetyNet(alpha=0.0))
    (run / "payload.plada").write_bytes(encoded)
    write(run / "report.json", report_of(payload, encoded, reference))
    write(run / "plan" / "plan.json", plan_of(len(encoded)))
    for who in ("teacher", "student"):
        write(run / f"{who}.json", {"config": CONFIG, "accuracy": 0.6})
    for name, file in (("report", "report"), ("plan", "plan/plan"), ("checkpoint", "teacher")):
        assert_valid(name, json.loads((run / f"{file}.json").read_text()))
    return run


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(value))


def payload_of(run: Path) -> Payload:
    return decode((run / "payload.plada").read_bytes())


def copied(run: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(run, to)
    return to


def assert_missing_is_named(contents: Contents) -> set[str]:
    """Names of all fields that show nothing."""
    empty = {field for field in PARTS if field in vars(contents) and not getattr(contents, field)}
    if contents.summary is not None:
        accuracies = ("teacher_accuracy", "student_accuracy")
        empty |= {field for field in accuracies if getattr(contents.summary, field) is None}
    named = {each.part for each in contents.missing}
    assert named - {"Some images"} == {PARTS[field] for field in empty}
    assert all(each.reason for each in contents.missing)
    return empty


# --- present parts ---


def test_of_a_whole_run_nothing_is_missing(whole: Path) -> None:
    contents = gather(whole)
    assert contents.missing == ()
    assert contents.title == "pets: cat, dog, owl and sea <b>"
    assert contents.class_names == NAMES
    summary = contents.summary
    assert summary is not None
    assert summary.payload_bytes == len((whole / "payload.plada").read_bytes())
    assert (summary.kept, summary.reference_size, summary.num_classes, summary.budget_bytes) == (40, 120, 4, 300)
    assert (summary.teacher_accuracy, summary.student_accuracy) == (0.75, 0.5)
    assert (summary.teacher_model, summary.student_model) == ("test_resnet", "test_resnet")
    assert summary.rule == "lowest energy, Safety-Net 0"
    assert [each.model for each in contents.confusions] == ["teacher", "student"]
    facts = dict(contents.facts)
    assert facts["Reference digest"] == DIGEST.hex()
    assert "test_resnet, random weights, at 32 pixels, 2 epochs" in facts["Teacher"]
    measured = "candidates measured, rung by rung: 4 of 5, 3 of 3, in 81 s of 15 minutes, ended by itself"
    assert measured in facts["Planner"]


def test_points_are_the_candidates_of_the_last_rung(whole: Path) -> None:
    points = gather(whole).points
    assert [(each.name, each.series, each.is_frontier, each.is_chosen) for each in points] == [
        ("number 0", "lowest energy", False, False),
        ("number 1", "candidates", True, False),
        ("number 2", "candidates", True, True),
    ]


def test_a_winner_of_an_earlier_rung_is_shown_and_says_so(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    plan = json.loads((run / "plan" / "plan.json").read_text())
    plan["winners"][0]["candidate"] = 3
    write(run / "plan" / "plan.json", plan)
    points = gather(run).points
    assert [(each.name, each.steps) for each in points if each.is_chosen] == [("number 3 (measured in 50 steps)", 50)]
    assert {each.steps for each in points if not each.is_chosen} == {100}


def test_the_report_counts_the_measured_candidates_of_each_rung(whole: Path) -> None:
    search = gather(whole).search
    assert search is not None
    assert [(rung.steps, rung.measured, rung.candidates) for rung in search.rungs] == [(50, 4, 5), (100, 3, 3)]
    assert (search.stopped, search.held_out_images) == (None, 20)


def test_the_report_names_the_optional_sections_of_the_payload(whole: Path, tmp_path: Path) -> None:
    assert "Sent too" not in dict(gather(whole).facts)
    run = copied(whole, tmp_path / "run")
    payload, encoded = select(
        Scores.load(run / "scores"), kept=40, rule=SafetyNet(alpha=0.0), sections=OptionalSections(class_names=True)
    )
    (run / "payload.plada").write_bytes(encoded)
    write(run / "report.json", report_of(payload, encoded, whole.parent / "reference"))
    assert dict(gather(run).facts)["Sent too"] == "class names"


def test_images_are_in_the_order_of_their_energy_and_take_less_than_200_kb(whole: Path) -> None:
    percentiles = gather(whole).percentiles
    assert [each.percent for each in percentiles] == list(PERCENTS)
    assert all(len(each.images) == IMAGES_PER_PERCENT for each in percentiles)
    energies = [image.energy for each in percentiles for image in each.images]
    scores = Scores.load(whole / "scores")
    assert (energies[0], energies[-1]) == (scores.column("energy").min(), scores.column("energy").max())
    for each in percentiles:
        assert [image.energy for image in each.images] == sorted(image.energy for image in each.images)
    for before, after in pairwise(percentiles):
        assert before.images[0].energy <= after.images[0].energy
    kept = set(payload_of(whole).indices.tolist())
    for image in chain.from_iterable(each.images for each in percentiles):
        assert image.is_kept == (image.index in kept)
        assert image.label == NAMES[scores.label[image.index]]
        assert image.energy == scores.column("energy")[image.index]
        assert image.data_url.startswith("data:image/jpeg;base64,")
    assert sum(len(image.data_url) for each in percentiles for image in each.images) < 200_000


def test_links_take_what_the_budget_says_and_none_is_left_out(whole: Path) -> None:
    times = gather(whole).links
    assert [each.link for each in times] == [name for name in links() if name != "custom"]
    for each in times:
        assert each.airtime_s is not None
        assert each.wall_s is not None
        assert 0 < each.airtime_s <= each.wall_s * (1 + 1e-9)
    (titan,) = (each for each in times if each.link == "titan-dte")
    assert titan.name.endswith("in frames of 256 bytes")


@examples(0.3)
@given(st.integers(1, 90), st.integers(1, 6), st.integers(0, 99), st.booleans(), st.booleans(), st.data())
def test_the_counts_of_a_report_are_those_of_the_payload(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    num_classes: int,
    seed: int,
    soft_labels: bool,
    inverse: bool,
    data: st.DataObject,
) -> None:
    """Of any payload: with a universe, names, soft labels, weights; of a class without images, of a single image."""
    folder = tmp_path_factory.mktemp("sums")
    names = tuple(f"class {c}" for c in range(num_classes))
    scores = replace(
        scores_of(size, num_classes, seed, names),
        soft_sum=np.eye(num_classes) + 0.1,
        own_square_sum=np.full(num_classes, 0.9),
    )
    universe = Universe(data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size)))
    kept = data.draw(st.integers(1, universe.size(size)))
    rule = data.draw(st.sampled_from([LowestCost(inverse=inverse), SafetyNet(inverse=inverse, alpha=0.0)]))
    sections = OptionalSections(class_names=True, soft_labels=soft_labels, weights_tau=1.0)
    payload, encoded = select(scores, kept=kept, universe=universe, rule=rule, sections=sections)
    scores.save(folder / "scores")
    (folder / "payload.plada").write_bytes(encoded)
    contents = gather(folder)
    histogram, anatomy = contents.energies, contents.anatomy
    assert histogram is not None
    assert sum(histogram.labelled) == size
    assert sum(histogram.kept) == kept
    assert all(few <= many for few, many in zip(histogram.kept, histogram.labelled, strict=True))
    assert all(low < high for low, high in pairwise(histogram.edges))
    assert (scores.column("energy") <= histogram.cut).sum() >= kept
    assert (scores.column("energy") < histogram.cut).sum() < kept
    assert anatomy is not None
    assert sum(each.payload_bytes for each in anatomy.sections) == len(encoded)
    assert anatomy.bits_per_image == pytest.approx(8 * len(encoded) / kept)
    assert [row.name for row in contents.classes] == list(names)
    assert [row.kept for row in contents.classes] == np.bincount(payload.labels, minlength=num_classes).tolist()
    assert sum(row.lowest_energy for row in contents.classes) == kept
    assert sum(row.labelled for row in contents.classes) == universe.size(size)
    for row in contents.classes:
        assert max(row.kept, row.lowest_energy) <= row.labelled
        if not row.kept:
            assert row.payload_bits == 0


def test_the_cut_of_an_inverse_rule_has_the_kept_images_above_it(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    report = json.loads((run / "report.json").read_text())
    report["settings"]["rule"]["inverse"] = True
    write(run / "report.json", report)
    histogram = gather(run).energies
    assert histogram is not None
    assert (Scores.load(run / "scores").column("energy") >= histogram.cut).sum() == 40


def test_equal_energies_make_a_histogram(tmp_path: Path) -> None:
    scores = scores_of(20, 2).with_column("energy", np.full(20, -1, np.float32))
    scores.save(tmp_path / "scores")
    (tmp_path / "payload.plada").write_bytes(select(scores, kept=5)[1])
    histogram = gather(tmp_path).energies
    assert histogram is not None
    assert (sum(histogram.labelled), sum(histogram.kept), histogram.cut) == (20, 5, -1)


def test_an_unfinished_run_shows_the_choice_of_the_planner(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    (run / "report.json").unlink()
    for path in ("plan/plan.json", "plan.json"):
        summary = gather(run).summary
        assert summary is not None
        assert summary.rule == "number 2"
        assert summary.budget_bytes == 300
        assert (summary.teacher_accuracy, summary.student_accuracy) == (0.6, 0.6)
        if path != "plan.json":
            (run / path).rename(run / "plan.json")


# --- missing and damaged parts ---


def truncated(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


@examples(0.4)
@given(
    states=st.fixed_dictionaries({name: st.sampled_from(["whole", "removed", "damaged"]) for name in NEEDED_BY}),
    share=st.floats(0, 0.99),
    has_models=st.booleans(),
)
def test_a_missing_or_damaged_part_is_named_and_the_rest_is_shown(
    whole: Path, states: dict[str, str], share: float, has_models: bool
) -> None:
    run = copied(whole, whole.parent / "copy")
    files = {name: run / name for name in states}
    files |= {"scores": run / "scores" / "shard-00000.npz", "plan": run / "plan" / "plan.json"}
    for name, state in states.items():
        if state == "damaged":
            truncated(files[name], share)
        elif state == "removed":
            shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    for who in () if has_models else ("teacher", "student"):
        (run / f"{who}.json").unlink()
    bad = {name for name, state in states.items() if state != "whole"}
    if not has_models and all(state == "removed" for state in states.values()):
        with pytest.raises(InputError, match="has no file of a run"):
            gather(run)
        return
    contents = gather(run, reference=str(whole.parent / "reference"))
    empty = assert_missing_is_named(contents)
    needless = set().union(*(NEEDED_BY[name] for name in bad))
    if {"report.json", "payload.plada"} <= bad:
        needless |= {"summary", "links"}
    elif "report.json" in bad and not has_models:
        needless |= {"teacher_accuracy", "student_accuracy"}
    if {"report.json", "plan"} <= bad:
        needless |= {"facts"}
    assert empty == needless


@examples(0.4)
@given(st.data())
def test_a_missing_or_mistyped_entry_of_a_json_file_does_not_stop_the_report(whole: Path, data: st.DataObject) -> None:
    run = copied(whole, whole.parent / "copy")
    path = run / data.draw(st.sampled_from(["report.json", "plan/plan.json", "student.json"]))
    values = json.loads(path.read_text())
    inner = values
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.booleans()):
            break
        inner = inner[key]
    if data.draw(st.booleans()):
        del inner[key]
    else:
        inner[key] = data.draw(st.sampled_from([None, True, "x", "", -1, 0, 0.5, 1e400, {}, [], [[]], 10**30]))
    write(path, values)
    contents = gather(run, str(whole.parent / "reference"))
    assert_missing_is_named(contents)
    assert contents.title in unescape(render(contents))


@pytest.mark.parametrize("text", ["", "[]", "1", '"x"', "{", "\xff", "[" * 100_000, '{"a": NaN}'])
def test_a_file_without_a_json_object_is_named(whole: Path, tmp_path: Path, text: str) -> None:
    run = copied(whole, tmp_path / "run")
    for name in ("report.json", "plan/plan.json", "teacher.json"):
        (run / name).write_text(text, encoding="latin-1")
    contents = gather(run)
    empty = assert_missing_is_named(contents)
    assert empty == {"points", "percentiles", "confusions", "facts", "teacher_accuracy"}
    assert any(str(run / "report.json") in each.reason for each in contents.missing)
    assert all("\n" not in each.reason for each in contents.missing)


def test_scores_a_plan_and_a_report_of_another_reference_set_are_not_shown(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    replace(Scores.load(run / "scores"), reference_digest=bytes(32)).save(run / "scores")
    for name in ("report.json", "plan/plan.json"):
        write(run / name, json.loads((run / name).read_text()) | {"reference_digest": bytes(32).hex()})
    contents = gather(run, str(whole.parent / "reference"))
    empty = assert_missing_is_named(contents)
    assert empty == {"points", "percentiles", "energies", "classes", "confusions", "facts"}
    assert all("is of another reference set (0000000000000000)" in each.reason for each in contents.missing)


@pytest.mark.parametrize(("size", "num_classes"), [(119, 4), (120, 5)])
def test_scores_of_other_shapes_are_not_shown(whole: Path, tmp_path: Path, size: int, num_classes: int) -> None:
    run = copied(whole, tmp_path / "run")
    scores_of(size, num_classes).save(run / "scores")
    contents = gather(run)
    assert assert_missing_is_named(contents) == {"percentiles", "energies", "classes"}
    assert all("other numbers of images or classes" in each.reason for each in contents.missing)


def test_labels_that_are_no_classes_are_named(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    scores = Scores.load(run / "scores")
    replace(scores, label=scores.label + 2).save(run / "scores")
    assert assert_missing_is_named(gather(run)) == {"percentiles", "energies", "classes"}


def test_a_report_of_another_payload_is_not_shown(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    (run / "payload.plada").write_bytes(select(Scores.load(run / "scores"), kept=20)[1])
    contents = gather(run, str(whole.parent / "reference"))
    assert assert_missing_is_named(contents) == {"confusions"}
    assert contents.summary is not None
    assert (contents.summary.kept, contents.summary.rule) == (20, "a rule that is not on record")


def test_a_run_of_too_many_classes_says_why_it_has_no_confusions(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    write(run / "report.json", json.loads((run / "report.json").read_text()) | {"confusion": None})
    (missing,) = gather(run).missing
    assert (missing.part, missing.reason) == (PARTS["confusions"], "4 classes are too many to show")


def test_a_budget_without_a_winner_does_not_hide_the_others(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    plan = json.loads((run / "plan" / "plan.json").read_text())
    plan["winners"].append(winner(900, None, None))
    write(run / "plan" / "plan.json", plan)
    assert gather(run).points == gather(whole).points


def test_a_payload_that_keeps_nothing_is_named(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "payload.plada").write_bytes(encode(Payload([], [], 120, 4, DIGEST)))
    contents = gather(tmp_path)
    assert contents.summary is None
    assert {each.reason for each in contents.missing if each.part == PARTS["anatomy"]} == {
        f"{tmp_path / 'payload.plada'} keeps no image"
    }


def test_without_a_payload_no_image_is_said_to_be_kept_or_not(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    (run / "payload.plada").unlink()
    contents = gather(run)
    assert {image.is_kept for each in contents.percentiles for image in each.images} == {None}
    assert all(text not in render(contents) for text in (", kept", "not kept", "<b>kept"))


@pytest.mark.parametrize("source", [".", "train-000.tar"])
def test_a_target_without_a_folder_of_its_own_is_titled_by_the_run(whole: Path, tmp_path: Path, source: str) -> None:
    run = copied(whole, tmp_path / "owls")
    report = json.loads((run / "report.json").read_text())
    report["settings"]["target_train"] = source
    write(run / "report.json", report)
    assert gather(run).title.startswith("owls: cat")


def test_a_file_name_that_is_not_utf_8_can_be_written_in_a_page(whole: Path, tmp_path: Path) -> None:
    run = copied(whole, tmp_path / "run")
    report = json.loads((run / "report.json").read_text())
    report["settings"]["target_train"] = "data/\udcff"
    json_files.write(run / "report.json", report)
    assert "\\udcff" in render(gather(run)).encode().decode()


def test_images_that_cannot_be_decoded_are_left_out_and_named(whole: Path, tmp_path: Path) -> None:
    reference = copied(whole.parent / "reference", tmp_path / "reference")
    surest = int(np.argmin(Scores.load(whole / "scores").column("energy")))
    (reference / f"{surest:03}.png").write_bytes(b"no image")
    contents = gather(whole, str(reference))
    assert len(contents.percentiles[0].images) == IMAGES_PER_PERCENT - 1
    (missing,) = contents.missing
    assert f"image {surest} of" in missing.reason


def test_another_reference_set_shows_no_images(whole: Path, tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("RGB", (4, 4)).save(image, "png")
    (tmp_path / "0.png").write_bytes(image.getvalue())
    for reference, text in ((tmp_path, "1 images, but the scores are of 120"), (tmp_path / "x", "does not exist")):
        contents = gather(whole, str(reference))
        assert assert_missing_is_named(contents) == {"percentiles"}
        assert text in contents.missing[0].reason
        assert "--reference" in contents.missing[0].reason


def test_a_folder_that_is_not_there_or_holds_nothing_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        gather(tmp_path / "nowhere")
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="has no file of a run"):
        gather(tmp_path)
