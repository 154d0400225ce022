"""Plans made for real: small ones from end to end, tasks on which one choice is right, ends of all kinds, bad input.

Most of them measure in this process, as workers take seconds to begin; some in workers of their own.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from PIL import Image

from plada_codec import Universe, decode
from plada_codec.errors import InputError, PladaError, PladaWarning, SourceError
from plada_codec.reference import ImageSource, open_images, reference_digest
from plada_train import json_files
from plada_train.data.decoded_images import DecodedImages
from plada_train.data.labelled import LabelledImages, open_training_images
from plada_train.planning import label_loss, plan, workers
from plada_train.planning.candidates import axes
from plada_train.planning.candidates import grid as candidates
from plada_train.scores.reference_scores import Scores
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.safety_net import SafetyNet
from plada_train.training import proxies
from tests.helpers.commands import hear_ctrl_c
from tests.helpers.schemas import assert_valid

pytestmark = pytest.mark.training

COLOURS = np.array([[210, 70, 70], [70, 210, 70], [70, 70, 210]])
SIDE = 16
NAMED = OptionalSections(class_names=True)


def coloured(labels: np.ndarray, seed: int) -> np.ndarray:
    """Images of three classes that differ in colour: uint8 [n, S, S, 3]."""
    noise = np.random.default_rng(seed).normal(0, 30, (len(labels), SIDE, SIDE, 3))
    pixels: np.ndarray = (COLOURS[labels][:, None, None] + noise).clip(0, 255).astype(np.uint8)
    return pixels


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def write_reference(folder: Path, images: Sequence[bytes]) -> ImageSource:
    folder.mkdir(parents=True)
    with tarfile.open(folder / "ref-0.tar", "w") as archive:
        for number, data in enumerate(images):
            member = tarfile.TarInfo(f"{number:05}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return open_images(folder)


def write_target(folder: Path, per_class: int, seed: int) -> LabelledImages:
    for c in range(len(COLOURS)):
        (folder / f"class-{c}").mkdir(parents=True)
        for number, pixels in enumerate(coloured(np.full(per_class, c), seed + c)):
            (folder / f"class-{c}" / f"{number}.png").write_bytes(png(pixels))
    return open_training_images(folder)


def scores_of(reference: ImageSource, label: np.ndarray, energy: np.ndarray) -> Scores:
    entropy = np.random.default_rng(9).random(len(label)).astype(np.float32)
    names = tuple(f"class-{c}" for c in range(len(COLOURS)))
    digest = reference_digest(reference)
    columns = {"energy": energy.astype(np.float32), "entropy": entropy}
    return Scores(label.astype(np.int32), columns, digest, len(COLOURS), names)


@dataclass(frozen=True)
class Work:
    """Inputs of a plan."""

    scores: Scores
    reference: ImageSource
    train: LabelledImages
    held_out: LabelledImages

    def plan(self, output: Path, budgets: Sequence[int], minutes: float = 60, **options: Any) -> dict[str, Any]:
        found = plan.plan(
            options.pop("scores", self.scores),
            options.pop("reference", self.reference),
            options.pop("train", self.train),
            options.pop("held_out", self.held_out),
            output,
            budgets=budgets,
            minutes=minutes,
            **options,
        )
        return dict(json_files.to_json(found))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledImages, LabelledImages]:
    folder = tmp_path_factory.mktemp("target")
    return write_target(folder / "train", 12, 0), write_target(folder / "held-out", 15, 100)


@pytest.fixture(scope="module")
def work(target: tuple[LabelledImages, LabelledImages], tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A teacher that is mostly right, the surer the more so."""
    random = np.random.default_rng(1)
    label = random.integers(0, 3, 240)
    energy = random.normal(size=240)
    reference = write_reference(tmp_path_factory.mktemp("ref") / "ref", [png(one) for one in coloured(label, 2)])
    said = np.where(energy > 1, random.integers(0, 3, 240), label)
    return Work(scores_of(reference, said, energy), reference, *target)


class Here:
    """In place of `Workers`: does all at once, in this process."""

    def __init__(self, context: workers.PlanContext, number: int) -> None:
        digest = context.scores[0].reference_digest
        globals_ = vars(workers)
        globals_["_context"], globals_["_stop"] = context, Event()
        globals_["_images"] = DecodedImages(context.reference, digest, context.image_folder, proxies.IMAGE_SIZE)
        workers._scores.cache_clear()

    def submit(self, do: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(do(*arguments))
        except PladaError as error:
            future.set_exception(error)
        return future

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...


def set_axis(patch: pytest.MonkeyPatch, name: str, *values: Any) -> None:
    """Give an axis of the grid other values."""
    changed = (replace(axis, values=values) if axis.name == name else axis for axis in axes.AXES)
    patch.setattr(axes, "AXES", tuple(changed))


def shorten(patch: pytest.MonkeyPatch, rungs: tuple[int, int, int]) -> None:
    """Make plans of few candidates, which are all measured, and of few steps."""
    patch.setattr(plan, "rungs_of", lambda steps: rungs)
    patch.setattr(label_loss, "LEAST_STEPS", 4)
    patch.setattr(label_loss, "MOST_STEPS", 30)
    set_axis(patch, "score", ("energy", "loss"), ("energy",))
    set_axis(patch, "selection rule", LowestCost(), SafetyNet(alpha=0.0))
    set_axis(patch, "stride", 1, 4)
    patch.setattr(axes, "LEVEL_SHARES", (1.0,))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    shorten(monkeypatch, (1, 2, 3))
    monkeypatch.setattr(plan, "Workers", Here)
    monkeypatch.setattr(proxies, "IMAGE_SIZE", SIDE)
    monkeypatch.setattr(proxies, "BATCH_SIZE", 16)
    return monkeypatch


def row_of(found: dict[str, Any], budget: int) -> dict[str, Any]:
    """The winner of a budget."""
    (number,) = (winner["candidate"] for winner in found["winners"] if winner["budget_bytes"] == budget)
    (row,) = (one for one in found["candidates"] if one["id"] == number)
    return dict(row)


def assert_consistent(found: dict[str, Any], output: Path, scores: Scores) -> None:
    said = json.loads((output / "plan.json").read_text())
    assert said == json.loads(json.dumps(found))
    assert_valid("plan", said)
    for line in (output / "measurements.jsonl").read_text().splitlines():
        if line:
            assert_valid("measurements", json.loads(line))
    rows = {row["id"]: row for row in found["candidates"]}
    assert len(rows) == len(found["candidates"])
    assert set(found["frontier"]) <= set(rows)
    last = max(row["rung"] for row in rows.values())
    frontier = [rows[number] for number in found["frontier"]]
    assert all(row["rung"] == last for row in frontier)
    assert frontier == sorted(frontier, key=lambda row: row["payload_bytes"])
    for row in rows.values():
        assert row["accuracy"] == pytest.approx(np.mean([row["accuracies"][model] for model in proxies.MODELS]))
        assert 0 <= row["accuracy"] <= 1
        assert row["level_bytes"] is None or row["payload_bytes"] <= row["level_bytes"]
    for rung in found["rungs"]:
        assert rung["measured"] <= rung["candidates"]
    assert all(winner["rung"] == rows[winner["candidate"]]["rung"] for winner in found["winners"])
    names = {f"payload-{budget}.plada" for budget in found["budgets"]} if len(found["budgets"]) > 1 else set()
    assert {path.name for path in output.glob("*.plada")} == names | {"payload.plada"}
    for budget in found["budgets"]:
        row = row_of(found, budget)
        name = "payload.plada" if budget == max(found["budgets"]) else f"payload-{budget}.plada"
        data = (output / name).read_bytes()
        assert len(data) == row["payload_bytes"] <= budget
        received = decode(data)
        assert received.kept == row["kept"]
        assert received.universe == Universe(row["offset"], row["stride"])
        np.testing.assert_array_equal(received.labels, scores.label[received.indices])
        if row["rung"] == last:
            fitting = [one for one in rows.values() if one["rung"] == last and one["payload_bytes"] <= budget]
            assert row["accuracy"] == max(one["accuracy"] for one in fitting)
    assert (output / "plan.svg").read_text().startswith("<")


# --- from end to end ---


@pytest.fixture(scope="module")
def planned(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A plan by two workers, for two budgets."""
    output = tmp_path_factory.mktemp("planned") / "plan"
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch, (1, 2, 3))
        yield output, work.plan(output, [60, 90])


def test_a_plan_has_a_payload_for_each_budget(work: Work, planned: tuple[Path, dict[str, Any]]) -> None:
    output, found = planned
    assert_consistent(found, output, work.scores)
    assert found["stopped"] is None
    assert found["stopped"] != "interrupt"
    assert [rung["measured"] for rung in found["rungs"]] == [rung["candidates"] for rung in found["rungs"]]
    assert {row["baseline"] for row in found["candidates"]} == {*candidates.BASELINES, candidates.STRIDE, None}
    assert found["reference_digest"] == work.scores.reference_digest.hex()
    assert (found["reference_size"], found["train_images"], found["held_out_images"]) == (240, 36, 45)
    assert set(found["proxy_accuracy"]) == set(proxies.MODELS)


def test_the_same_plan_again_measures_nothing_and_is_the_same(work: Work, planned: tuple[Path, dict[str, Any]]) -> None:
    output, found = planned
    before = (output / "measurements.jsonl").read_bytes()
    again = work.plan(output, [60, 90])
    assert (output / "measurements.jsonl").read_bytes() == before
    assert again | {"seconds": 0} == found | {"seconds": 0}


def test_a_plan_for_other_budgets_is_replaced_with_a_warning(
    work: Work, planned: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(planned[0], tmp_path / "plan")
    with pytest.warns(PladaWarning, match=r"plan.json held a plan for 60, 90 bytes: it is replaced"):
        work.plan(tmp_path / "plan", [90])


def test_a_folder_holds_one_plan(work: Work, planned: tuple[Path, dict[str, Any]]) -> None:
    output, _ = planned
    others: dict[str, dict[str, Any]] = {
        "options": {"seed": 1},
        "scores": {"scores": work.scores.with_column("energy", -work.scores.column("energy"))},
        "training images": {"train": work.held_out, "held_out": work.train},
    }
    for what, options in others.items():
        with pytest.raises(InputError, match=f"holds a plan with other {what}") as error:
            work.plan(output, [60, 90], **options)
        assert error.value.rule == "plan"


# --- it chooses ---


def kept_of(output: Path) -> np.ndarray:
    return decode((output / "payload.plada").read_bytes()).indices


@pytest.fixture
def longer(here: pytest.MonkeyPatch) -> None:
    shorten(here, (6, 12, 48))
    set_axis(here, "stride", 1)


@pytest.mark.usefixtures("longer")
def test_a_plan_filters_where_nine_images_in_ten_are_noise(
    target: tuple[LabelledImages, LabelledImages], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    label = random.integers(0, 3, 400)
    is_right = np.arange(400) % 10 == random.integers(0, 10, 40).repeat(10)
    shown = np.where(is_right, label, random.integers(0, 3, 400))
    reference = write_reference(tmp_path / "ref", [png(one) for one in coloured(shown, 4)])
    energy = random.random(400) - 10 * is_right
    work = Work(scores_of(reference, label, energy), reference, *target)
    found = work.plan(tmp_path / "plan", [55])
    winner = row_of(found, 55)
    assert winner["level_bytes"] is not None
    assert np.mean(is_right[kept_of(tmp_path / "plan")]) > 0.5
    strides = [row["accuracy"] for row in found["candidates"] if row["baseline"] == candidates.STRIDE]
    assert winner["accuracy"] > max(strides) + 0.1


@pytest.mark.usefixtures("longer")
def test_a_plan_avoids_the_lowest_energies_where_their_labels_are_wrong(
    target: tuple[LabelledImages, LabelledImages], tmp_path: Path
) -> None:
    random = np.random.default_rng(6)
    label = random.integers(0, 3, 300)
    energy = random.random(300)
    said = np.where(energy < 1 / 3, (label + 1) % 3, label)
    reference = write_reference(tmp_path / "ref", [png(one) for one in coloured(label, 7)])
    work = Work(scores_of(reference, said, energy), reference, *target)
    found = work.plan(tmp_path / "plan", [55])
    winner = row_of(found, 55)
    kept = kept_of(tmp_path / "plan")
    assert winner["baseline"] != "lowest energy"
    assert np.mean(said[kept] == label[kept]) > 0.5
    (baseline,) = (row["accuracy"] for row in found["candidates"] if row["baseline"] == "lowest energy")
    assert winner["accuracy"] > baseline + 0.3


# --- large reference sets ---


def test_a_large_reference_set_is_sampled_first(work: Work, tmp_path: Path, here: pytest.MonkeyPatch) -> None:
    here.setattr(plan, "MAX_SAMPLE", 60)
    set_axis(here, "score", ("energy",), ("entropy",))
    set_axis(here, "stride", 1)
    found = work.plan(tmp_path, [60])
    assert_consistent(found, tmp_path, work.scores)
    is_judged = np.isfinite(np.load(tmp_path / "loss.npy"))
    np.testing.assert_array_equal(np.flatnonzero(is_judged), np.arange(0, 240, 4))
    dense = [row for row in found["candidates"] if row["stride"] % 4]
    # All images are chosen from where a rule is among the best of the sample's
    assert {(row["stride"], row["rung"]) for row in dense} == {(1, 2)}
    assert all(row["offset"] % 4 == 0 for row in found["candidates"])


# --- small and unusual inputs ---


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_reference_set_of_a_few_images_is_enough(
    work: Work, tmp_path: Path, here: pytest.MonkeyPatch, count: int
) -> None:
    reference = write_reference(tmp_path / "ref", [png(one) for one in coloured(np.arange(count) % 3, 8)])
    scores = scores_of(reference, np.arange(count) % 3, np.zeros(count))
    found = work.plan(tmp_path / "plan", [1_000], scores=scores, reference=reference)
    assert_consistent(found, tmp_path / "plan", scores)


@pytest.mark.usefixtures("here")
def test_labels_of_one_class_can_be_planned_with(work: Work, tmp_path: Path) -> None:
    scores = replace(work.scores, label=np.zeros_like(work.scores.label))
    assert_consistent(work.plan(tmp_path, [50], scores=scores), tmp_path, scores)


@pytest.mark.usefixtures("here")
def test_a_budget_beyond_all_images_keeps_at_most_them(work: Work, tmp_path: Path) -> None:
    found = work.plan(tmp_path, [1_000_000], workers=1)
    assert_consistent(found, tmp_path, work.scores)
    assert max(row["kept"] for row in found["candidates"]) == 240


@pytest.mark.usefixtures("here")
def test_scores_of_several_teachers_make_a_consensus(work: Work, tmp_path: Path) -> None:
    other = work.scores.with_column("energy", -work.scores.column("energy"))
    found = work.plan(tmp_path / "both", [60], scores=[work.scores, other])
    assert_consistent(found, tmp_path / "both", work.scores)


@pytest.mark.usefixtures("here")
def test_a_planned_payload_with_all_optional_sections_fits_its_budget(work: Work, tmp_path: Path) -> None:
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 3) * 80
    scores = replace(work.scores, soft_sum=soft, own_square_sum=np.diagonal(soft) * 0.6)
    sections = OptionalSections(class_names=True, soft_labels=True, weights_tau=1.0)
    found = work.plan(tmp_path, [200], scores=scores, sections=sections)
    assert_consistent(found, tmp_path, scores)
    received = decode((tmp_path / "payload.plada").read_bytes())
    assert received.class_names == scores.class_names
    assert received.soft_labels is not None
    assert received.weights is not None


# --- bad input ---


@pytest.mark.usefixtures("here")
def test_a_budget_that_is_too_small_names_one_that_is_not(work: Work, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^5 bytes are too few: the smallest payload takes (\d+)") as error:
        work.plan(tmp_path, [5, 100])
    assert error.value.rule == "max-bytes"
    smallest = int(error.value.args[0].split()[-1])
    with pytest.raises(InputError, match="max-bytes"):
        work.plan(tmp_path, [smallest - 1])
    found = work.plan(tmp_path, [smallest])
    assert_consistent(found, tmp_path, work.scores)


@pytest.mark.usefixtures("here")
def test_inputs_that_do_not_belong_together_are_refused(work: Work, tmp_path: Path) -> None:
    data = [work.reference.read(i) for i in range(240)]
    shorter = write_reference(tmp_path / "shorter", data[1:])
    turned = write_reference(tmp_path / "turned", data[::-1])
    one_class = LabelledImages(
        work.held_out.images, work.held_out.numbers[:15], work.held_out.labels[:15], 3, work.held_out.class_names
    )
    names = ("a", "b", "c")
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("reference", {"reference": shorter}),
        ("reference", {"reference": turned}),
        ("held-out", {"held_out": one_class}),
        ("scores", {"held_out": replace(work.held_out, num_classes=4, class_names=None)}),
        ("scores", {"train": replace(work.train, num_classes=2, class_names=None)}),
        ("scores", {"train": replace(work.train, class_names=names)}),
        ("scores", {"scores": [work.scores, replace(work.scores, reference_digest=bytes(32))]}),
        ("class-names", {"scores": replace(work.scores, class_names=None), "sections": NAMED}),
    ]
    for rule, options in wrongs:
        with pytest.raises(InputError) as error:
            work.plan(tmp_path / "plan", [60], **options)
        assert error.value.rule == rule, options
        assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("plan/payload*.plada"))


@pytest.mark.usefixtures("here")
def test_scores_without_a_column_that_candidates_need_are_refused_at_once(work: Work, tmp_path: Path) -> None:
    older = replace(work.scores, columns={"entropy": work.scores.column("entropy")})
    with pytest.raises(InputError, match="the scores were made without the energy: label the reference set again"):
        work.plan(tmp_path, [70], scores=[work.scores, older])
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("here")
def test_payloads_with_other_class_names_are_another_plan(work: Work, tmp_path: Path) -> None:
    work.plan(tmp_path, [70], sections=NAMED)
    renamed: dict[str, Any] = {
        name: replace(getattr(work, name), class_names=("a", "b", "c")) for name in ("train", "held_out", "scores")
    }
    with pytest.raises(InputError, match="holds a plan with other options"):
        work.plan(tmp_path, [70], sections=NAMED, **renamed)


@pytest.mark.usefixtures("here")
def test_a_plan_of_no_time_has_an_answer_and_goes_on_with_more(work: Work, tmp_path: Path) -> None:
    found = work.plan(tmp_path, [60, 90], minutes=1e-6)
    assert found["stopped"] == "time"
    assert [rung["measured"] for rung in found["rungs"]] == [2, 0, 0]
    assert_consistent(found, tmp_path, work.scores)
    found = work.plan(tmp_path, [60])
    assert found["stopped"] is None
    assert_consistent(found, tmp_path, work.scores)


def test_an_image_that_cannot_be_decoded_is_named_in_one_line(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, (1, 2, 3))
    data = [work.reference.read(i) for i in range(30)]
    data[7] = b"not an image"
    reference = write_reference(tmp_path / "ref", data)
    scores = scores_of(reference, work.scores.label[:30], work.scores.column("energy")[:30])
    with pytest.raises(SourceError, match=r"image 7 of .*ref-0\.tar/00007\.png, is text, not an image") as error:
        work.plan(tmp_path / "plan", [60], scores=scores, reference=reference, workers=1)
    assert "\n" not in str(error.value)


# --- ends of all kinds ---

SCRIPT = """
import sys
from pathlib import Path
from plada_codec.reference import open_images
from plada_train.data.labelled import open_training_images
from plada_train.json_files import dumps
from plada_train.planning import label_loss, plan
from plada_train.scores.reference_scores import Scores

label_loss.LEAST_STEPS = label_loss.MOST_STEPS = 4
plan.rungs_of = lambda steps: (5, 10, 20)
scores, reference, train, held_out, output = sys.argv[1:]
found = plan.plan(Scores.load(Path(scores)), open_images(reference), open_training_images(train),
             open_training_images(held_out), Path(output), budgets=[60, 90], minutes=60)
print(dumps(found))
"""


def begin(work: Work, folder: Path) -> subprocess.Popen[str]:
    work.scores.save(folder / "scores")
    sources = [work.reference.source, work.train.images.source, work.held_out.images.source]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder / "scores"), *sources, str(folder / "plan")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A group of its own, which stands for a terminal's
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )


def measurements(folder: Path) -> list[dict[str, Any]]:
    path = folder / "plan" / "measurements.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    # The last line may be half written
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [row for row in rows if "candidate" in row]


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 600  # it hangs: no machine is so slow
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_workers_leave_ctrl_c_to_the_planner_whoever_started_the_forkserver(work: Work, tmp_path: Path) -> None:
    other = multiprocessing.get_context("forkserver").Process(target=int)
    other.start()
    other.join()
    (tmp_path / "images").mkdir()
    none = workers.Examples(np.zeros((0, SIDE, SIDE, 3), np.uint8), np.zeros(0, np.int64))
    folders = tmp_path / "images", tmp_path
    context = workers.PlanContext(
        (work.scores,), work.reference, *folders, none, none, OptionalSections(), False, 0, (1,), 1
    )
    with workers.Workers(context, 1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_a_killed_plan_goes_on_and_an_interrupted_one_answers_with_the_best_so_far(work: Work, tmp_path: Path) -> None:
    killed = begin(work, tmp_path)
    wait_for(lambda: len(measurements(tmp_path)) >= 2)
    killed.kill()
    killed.communicate(timeout=60)
    wait_for(lambda: is_gone(killed.pid))
    before = measurements(tmp_path)

    interrupted = begin(work, tmp_path)
    wait_for(lambda: len(measurements(tmp_path)) >= len(before) + 2)
    os.killpg(interrupted.pid, signal.SIGINT)
    said, complaints = interrupted.communicate(timeout=60)
    wait_for(lambda: is_gone(interrupted.pid))
    assert interrupted.returncode == 0, complaints
    assert "Traceback" not in complaints
    found = json.loads(said)
    assert found["stopped"] == "interrupt"
    assert_consistent(found, tmp_path / "plan", work.scores)
    rows = measurements(tmp_path)
    assert rows[: len(before)] == before
    assert len({(row["candidate"], row["rung"]) for row in rows}) == len(rows)
    assert sum(rung["measured"] for rung in found["rungs"]) == len(rows)
