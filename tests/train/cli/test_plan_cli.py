"""`plan`, `report`, and the planner within `run`: their options, their files and their errors.

Another takes the planner's place, which is tested elsewhere, and in the demonstration of test_train_run.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from plada_codec import decode
from plada_codec.errors import InputError
from plada_codec.links.budgets.budget import max_bytes
from plada_codec.links.profiles import link
from plada_codec.reference import ImageSource, ListedImages
from plada_train import json_files
from plada_train import pipeline as run_module
from plada_train.data.labelled import LabelledImages, check_unseen, open_training_images, split_held_out
from plada_train.files import write_bytes
from plada_train.planning import plan as planning_plan
from plada_train.planning.plan_file import Plan, PlanCandidate, Rung, StopReason, Winner
from plada_train.recipe import Planning
from plada_train.scores.reference_scores import Scores
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.payloads import select
from tests.helpers.training import (
    COLOURS,
    MODELS,
    OPTIONS,
    assert_fails,
    jpeg,
    plada_train,
    source_options,
    write_shards,
    write_tree,
)

pytestmark = pytest.mark.training


class Nothing(ListedImages):
    """Images that nobody looks at."""

    def _read(self, i: int) -> bytes:
        raise AssertionError(i)


def labelled(labels: Sequence[int], num_classes: int = 5) -> LabelledImages:
    names = tuple(f"class {c}" for c in range(num_classes))
    return LabelledImages(Nothing("SRC"), np.arange(len(labels)), np.array(labels, np.int64), num_classes, names)


@pytest.fixture(scope="module")
def shared_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    write_tree(folder / "train", 10, 0)
    write_tree(folder / "val", 3, 7)
    write_tree(folder / "test", 5, 1)
    write_shards(folder / "ref", 3, 16)
    random = np.random.default_rng(0)
    energy, entropy = random.normal(size=(2, 48)).astype(np.float32)
    label = random.integers(0, 3, 48, dtype=np.int32)
    columns = {"energy": energy, "entropy": entropy}
    Scores(label, columns, bytes(32), 3, None, held_out=0.2).save(folder / "scores")
    return folder


@pytest.fixture
def sources(shared_sources: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_sources, tmp_path, dirs_exist_ok=True)
    return tmp_path


class FakePlanner:
    """Chooses the lowest entropy, and records its arguments."""

    stopped: StopReason | None = None
    #: The rung on which the planner chooses; baselines are measured on the last rung.
    rung = 2
    #: Budgets for which it finds nothing.
    in_vain: Sequence[int] = ()

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self,
        scores: Scores | Sequence[Scores],
        reference: ImageSource,
        train: LabelledImages,
        held_out: LabelledImages,
        output: Path,
        *,
        budgets: Sequence[int],
        **options: Any,
    ) -> Plan:
        self.calls.append({"train": train, "held_out": held_out, "budgets": budgets, **options})
        output.mkdir(parents=True, exist_ok=True)
        first = scores if isinstance(scores, Scores) else scores[0]
        candidates: list[PlanCandidate] = []
        for budget in budgets:
            for score, name in (("entropy", None), ("energy", "lowest energy")):
                payload, blob = select(first, max_bytes=budget, rule=LowestCost(score=(score,)))
                if name is None:
                    write_bytes(output / "payload.plada", blob)
                accuracy = 0.5 if name else 0.625
                candidates.append(
                    PlanCandidate(
                        id=len(candidates),
                        name=f"lowest {score}",
                        rule={"score": (score,), "inverse": False, "alpha": None, "reserved": "1"},
                        stride=1,
                        offset=0,
                        level_bytes=budget,
                        baseline=name,
                        kept=payload.kept,
                        payload_bytes=len(blob),
                        accuracies={"test_resnet": accuracy},
                        rung=2 if name else self.rung,
                        accuracy=accuracy,
                    )
                )
        found = Plan(
            budgets=tuple(budgets),
            stopped=self.stopped,
            winners=tuple(
                Winner(budget_bytes=budget, candidate=None, rung=None)
                if budget in self.in_vain
                else Winner(budget_bytes=budget, candidate=2 * i, rung=self.rung)
                for i, budget in enumerate(budgets)
            ),
            candidates=tuple(candidates),
            frontier=(0,),
            rungs=(Rung(50, 9, 9), Rung(140, 9, 9), Rung(400, 9, 9)),
            proxies=("test_resnet",),
            image_size=32,
            reference_size=len(first.label),
            reference_digest=first.reference_digest.hex(),
            num_classes=first.num_classes,
            class_names=None,
            train_images=len(train.labels),
            held_out_images=len(held_out.labels),
            sending=options["sections"],
            seed=options["seed"],
            versions={},
            candidates_asked=options["candidates"],
            minutes=options["minutes"],
            seconds=9.5,
            proxy_accuracy={"test_resnet": 0.75},
        )
        json_files.write(output / "plan.json", found)
        return found


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> FakePlanner:
    fake = FakePlanner()
    monkeypatch.setattr(planning_plan, "plan", fake)
    monkeypatch.setattr(run_module, "plan", fake)
    return fake


def plan_options(folder: Path, *more: str) -> list[str]:
    ref, train, _ = source_options(folder)
    return ["plan", str(folder / "scores"), ref, train, f"--output={folder / 'plan'}", *more]


def run_options(folder: Path, *more: str) -> list[str]:
    return ["run", *source_options(folder), *MODELS, *OPTIONS, f"--output={folder / 'out'}", *more]


# --- images held out ---


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0.001, 0.999), st.integers(0, 3))
def test_parts_are_stratified_and_hold_every_image_once(labels: list[int], share: float, seed: int) -> None:
    data = labelled([*labels, *labels])
    parts = split_held_out(data, share, seed)
    numbers = np.concatenate([part.numbers for part in parts])
    assert sorted(numbers) == list(range(len(data.labels)))
    for part in parts:
        np.testing.assert_array_equal(part.labels, data.labels[part.numbers])
        assert np.all(np.diff(part.numbers) > 0)
        assert part.missing_classes() == data.missing_classes()
    counts, spared = (np.bincount(part.labels, minlength=5) for part in (data, parts[1]))
    for all_of_class, of_class in zip(counts, spared, strict=True):
        if all_of_class:
            assert of_class == min(max(round(share * all_of_class), 1), all_of_class - 1)
    again = split_held_out(data, share, seed)
    assert all(np.array_equal(a.numbers, b.numbers) for a, b in zip(parts, again, strict=True))


def test_other_seeds_hold_other_images_out() -> None:
    data = labelled([0] * 50 + [1] * 50)
    assert len({split_held_out(data, 0.5, seed)[1].numbers.tobytes() for seed in range(5)}) == 5


def test_a_class_of_one_image_is_named() -> None:
    with pytest.raises(InputError, match="class class 3 of SRC has only one image") as caught:
        split_held_out(labelled([0, 0, 1, 3, 1]), 0.1)
    assert caught.value.rule == "held-out"


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="not between 0 and 1"):
        split_held_out(labelled([0, 0, 1, 1]), share)


def test_an_image_that_was_learnt_from_is_named(sources: Path) -> None:
    train = open_training_images(sources / "train")
    check_unseen(open_training_images(sources / "val"), train)
    shutil.copy(sources / "train" / "red" / "7.jpg", sources / "val" / "green" / "9.jpg")
    with pytest.raises(InputError, match=r"val, green/9.jpg, is held out, but also in .*train"):
        check_unseen(open_training_images(sources / "val"), train)


# --- predictions ---


@given(st.integers(1, 6), st.data())
def test_a_confusion_counts_every_image_and_its_diagonal_is_the_accuracy(num_classes: int, data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(*2 * [st.integers(0, num_classes - 1)]), min_size=1))
    labels, predicted = np.array(pairs, np.int64).T
    images = labelled(labels.tolist(), num_classes)
    confusion = images.confusion(predicted)
    assert confusion.shape == (num_classes, num_classes)
    assert all(confusion[row, column] == pairs.count((row, column)) for row, column in np.ndindex(confusion.shape))
    assert images.accuracy(predicted) == confusion.trace() / confusion.sum()


# --- plan ---


def test_plan_says_what_it_chose_beside_the_baselines_and_what_it_wrote(sources: Path, planner: FakePlanner) -> None:
    result = plada_train(*plan_options(sources, "--held-out=0.2", "--max-bytes=40", "--minutes=2", "--no-flip"))
    assert result.exit_code == 0, result.output
    (chosen,) = (line for line in result.stdout.splitlines() if "chosen for 40 bytes" in line)
    assert "lowest entropy" in chosen
    assert "62.5%" in chosen
    assert "400" in chosen.split()
    assert any("baseline" in line and "lowest energy" in line for line in result.stdout.splitlines())
    assert f"{sources / 'plan'}: payload.plada, plan.json, plan.svg" in result.stdout
    (call,) = planner.calls
    assert call["budgets"] == (40,)
    assert call["minutes"] == 2
    assert call["flip"] is False
    assert call["workers"] == 2


def test_a_budget_without_a_winner_is_said_and_has_no_payload(sources: Path, planner: FakePlanner) -> None:
    planner.in_vain = (30,)
    result = plada_train(*plan_options(sources, "--held-out=0.2", "--max-bytes=30", "--max-bytes=40"))
    assert result.exit_code == 0, result.output
    assert "no candidate that fits 30 bytes was measured" in result.stderr
    assert f"{sources / 'plan'}: payload-40.plada, plan.json, plan.svg" in result.stdout


def test_a_choice_on_an_early_rung_is_not_compared_with_baselines_on_the_last(
    sources: Path, planner: FakePlanner
) -> None:
    planner.rung = 1
    result = plada_train(*plan_options(sources, "--held-out=0.2", "--max-bytes=40"))
    (chosen,) = (line for line in result.stdout.splitlines() if "chosen for 40 bytes" in line)
    assert "140" in chosen.split()
    assert "baseline" not in result.stdout


@pytest.mark.parametrize(
    ("of_teacher", "text"),
    [
        (0.2, "the teacher of {} was taught with --held-out 0.2, not 0.1: give the same share"),
        (None, "{} does not say that its teacher held images out: run `plada-train teacher --held-out 0.1`"),
    ],
)
def test_plan_refuses_held_out_images_that_a_teacher_learnt_from(
    sources: Path, planner: FakePlanner, of_teacher: float | None, text: str
) -> None:
    second = sources / "second"
    replace(Scores.load(sources / "scores"), held_out=of_teacher).save(second)
    replace(Scores.load(sources / "scores"), held_out=0.1).save(sources / "scores")
    result = plada_train(*plan_options(sources, str(second), "--held-out=0.1", "--max-bytes=40"))
    assert_fails(result, text.format(second))
    assert not planner.calls
    val = f"--held-out={sources / 'val'}"
    assert plada_train(*plan_options(sources, str(second), val, "--max-bytes=40")).exit_code == 0


def test_scores_record_the_share_that_their_teacher_held_out(sources: Path) -> None:
    ref, train, test = source_options(sources)
    out = sources / "out"
    for arguments in (
        ["teacher", train, test, MODELS[0].replace("teacher", "model"), *OPTIONS, "--held-out=0.3", f"--output={out}"],
        ["score", ref, f"--teacher={out / 'teacher.safetensors'}", "--threads=1", f"--output={out / 'scores'}"],
    ):
        assert plada_train(*arguments).exit_code == 0
    assert json.loads((out / "teacher.json").read_text())["held_out"] == 0.3
    assert Scores.load(out / "scores").held_out == 0.3


def test_plan_holds_out_what_the_teacher_did(sources: Path, planner: FakePlanner, monkeypatch: Any) -> None:
    assert plada_train(*plan_options(sources, "--held-out=0.2", "--max-bytes=40")).exit_code == 0
    taught = []
    from plada_train import stages

    def teach(data: LabelledImages, *more: Any) -> Any:
        taught.append(data)
        raise InputError("seen enough", rule="test")

    monkeypatch.setattr(stages, "train_teacher", teach)
    _, train, test = source_options(sources)
    plada_train("teacher", train, test, MODELS[0].replace("teacher", "model"), *OPTIONS, "--held-out=0.2",
                f"--output={sources / 'out'}")  # fmt: skip
    np.testing.assert_array_equal(taught[0].numbers, planner.calls[0]["train"].numbers)
    assert len(planner.calls[0]["held_out"].numbers) == 6


def test_plan_measures_on_a_source_by_the_names_of_its_classes(sources: Path, planner: FakePlanner) -> None:
    shutil.rmtree(sources / "val" / "blue")
    val = f"--held-out={sources / 'val'}"
    result = plada_train(*plan_options(sources, val, "--max-bytes=40", "--max-bytes=60", "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["budgets"] == [40, 60]
    assert planner.calls[0]["held_out"].labels.tolist() == [1] * 3 + [2] * 3
    assert len(planner.calls[0]["train"].numbers) == 30


def test_a_link_and_a_time_are_a_budget(sources: Path, planner: FakePlanner) -> None:
    expected = max_bytes(link("nanomodem-v3"), 20)
    for time in ("--within=20 s", "--seconds=20"):
        result = plada_train(*plan_options(sources, "--held-out=0.2", "--link=nanomodem-v3", time, "--json"))
        assert result.exit_code == 0, result.output
        assert f"nanomodem-v3: {expected} bytes in 20 s, without loss, at no distance" in result.stderr
    assert [call["budgets"] for call in planner.calls] == [(expected,)] * 2
    lossy = plada_train(*plan_options(sources, "--held-out=0.2", "--link=hf-datac1", "--within=1h"))
    assert "in 1 h 0 min, 99% sure at its loss of 8%, at no distance" in lossy.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--max-bytes=40"], "--held-out is needed: labelled images that the teacher did not learn from"),
        (["--held-out=0.1"], "--max-bytes is needed, or --link and --within"),
        (["--held-out=1.5", "--max-bytes=40"], "1.5 is not between 0 and 1"),
        (["--held-out=nan", "--max-bytes=40"], "nan is not between 0 and 1"),
        (["--held-out=0.1", "--link=nanomodem-v3"], "--link and --within need each other"),
        (["--held-out=0.1", "--within=20"], "--link and --within need each other"),
        (["--held-out=0.1", "--within=soon", "--link=nanomodem-v3"], "soon"),
        (["--held-out=0.1", "--max-bytes=9", "--link=x", "--within=9"], "--max-bytes and --link exclude each other"),
        (["--held-out=0.1", "--link=nanomodem", "--within=9"], "nanomodem"),
        (["--held-out=0.1", "--max-bytes=40", "--minutes=0"], "--minutes"),
    ],
)
def test_wrong_usage_of_plan_is_named_with_exit_code_2(sources: Path, more: list[str], text: str) -> None:
    assert_fails(plada_train(*plan_options(sources, *more)), text, code=2)


def test_plan_refuses_unusable_input_in_one_line(sources: Path, planner: FakePlanner) -> None:
    too_soon = ("--held-out=0.2", "--link=nanomodem-v3", "--within=0.1")
    assert_fails(plada_train(*plan_options(sources, *too_soon)), "not one byte gets over nanomodem-v3 in")
    nowhere = ("--held-out=nowhere", "--max-bytes=40")
    assert_fails(plada_train(*plan_options(sources, *nowhere)), "nowhere does not exist")
    train = (f"--held-out={sources / 'train'}", "--max-bytes=40")
    assert_fails(plada_train(*plan_options(sources, *train)), "image 0 of", "is held out, but also in")
    (sources / "train" / "grey").mkdir()
    (sources / "train" / "grey" / "0.jpg").write_bytes(jpeg(COLOURS["red"], 1))
    single = ("--held-out=0.2", "--max-bytes=40")
    assert_fails(plada_train(*plan_options(sources, *single)), "class grey of", "only one image")


# --- run ---


def test_run_plans_within_a_budget_and_says_what_was_chosen(sources: Path, planner: FakePlanner) -> None:
    result = plada_train(*run_options(sources, "--max-bytes=60", "--held-out=0.2", "--minutes=3"))
    assert result.exit_code == 0, result.output
    out = sources / "out"
    report = json.loads((out / "report.json").read_text())
    payload = decode((out / "payload.plada").read_bytes())
    scores = Scores.load(out / "scores")
    surest_first = np.argsort(scores.column("entropy"), kind="stable")
    np.testing.assert_array_equal(payload.indices, np.sort(surest_first[: payload.kept]))
    assert report["plan"]["budget_bytes"] == 60
    assert report["plan"]["candidate"]["name"] == "lowest entropy"
    assert [each["name"] for each in report["plan"]["baselines"]] == ["lowest energy"]
    assert report["held_out_images"] == len(planner.calls[0]["held_out"].numbers) == 6
    assert scores.held_out == json.loads((out / "teacher.json").read_text())["held_out"] == 0.2
    asked = Planning(budget_bytes=60, held_out=0.2, minutes=3, workers=1)
    assert report["settings"]["planning"] == asdict(asked)
    for text in ("lowest entropy", "62.5% by proxies; lowest energy 50.0%", str(out / "report.html")):
        assert text in " ".join(result.stdout.split())
    assert "<html" in (out / "report.html").read_text()


def test_a_link_and_a_time_are_a_budget_of_run(sources: Path, planner: FakePlanner) -> None:
    expected = max_bytes(link("nanomodem-v3"), 3)
    result = plada_train(*run_options(sources, "--link=nanomodem-v3", "--within=3", "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"]["budget_bytes"] == expected


@pytest.mark.parametrize("named", ["--score=energy", "--stride=1", "--safety-net=0", "--keep=1", "--kept=9"])
def test_run_does_not_plan_where_a_selection_is_named(sources: Path, planner: FakePlanner, named: str) -> None:
    result = plada_train(*run_options(sources, "--max-bytes=60", "--epochs=1", "--freeze", named, "--json"))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"] is None
    assert not planner.calls
    assert_fails(
        plada_train(*run_options(sources, "--max-bytes=60", named, "--minutes=1")), "is for the planner", code=2
    )


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        ("interrupt", "the planner was interrupted: this is the best so far"),
        (
            "time",
            "the planner's 2 minutes did not suffice: on another machine or with more --minutes, the choice may differ",
        ),
    ],
)
def test_a_search_that_was_ended_early_is_said_and_the_run_goes_on(
    sources: Path, planner: FakePlanner, stopped: StopReason, reason: str
) -> None:
    planner.stopped = stopped
    result = plada_train(*run_options(sources, "--max-bytes=60", "--minutes=2", "--candidates=7", "--proxy-steps=9"))
    assert result.exit_code == 0, result.output
    assert f"plada-train: warning: {reason}; the run continues with it" in result.stderr.splitlines()
    assert "9 of 9 candidates tried: " in result.stdout
    assert "all that was asked" not in result.stdout
    report = json.loads((sources / "out" / "report.json").read_text())
    assert report["plan"]["stopped"] == stopped
    (call,) = planner.calls
    assert (call["candidates"], call["minutes"], call["proxy_steps"]) == (7, 2, 9)
    planned = plada_train(*plan_options(sources, "--held-out=0.2", "--max-bytes=40", "--minutes=2"))
    assert f"plada-train: {reason}; the same command continues the search" in planned.stderr.splitlines()


def test_the_page_is_titled_with_the_task(sources: Path, planner: FakePlanner) -> None:
    result = plada_train(*run_options(sources, "--max-bytes=60", "--task=sorting sweets"))
    assert result.exit_code == 0, result.output
    assert "<title>sorting sweets: blue, green and red</title>" in (sources / "out" / "report.html").read_text()


def test_once_a_payload_is_chosen_a_run_that_is_ended_does_not_plan_again(
    sources: Path, planner: FakePlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plada_train import stages

    def ending(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "train_student", ending)
        assert plada_train(*run_options(sources, "--max-bytes=60")).exit_code == 1
    chosen = (sources / "out" / "payload.plada").read_bytes()
    for more, text in (
        (["--max-bytes=50"], "holds the payload of another plan (budgets was [60] and is [50])"),
        (["--class-names"], "(class_names was False and is True)"),
        (["--importance-weights=2"], "(weights_tau was None and is 2.0)"),
        (["--candidates=3"], "(candidates was None and is 3)"),
        (["--proxy-steps=50"], "(proxy_steps was 400 and is 50)"),
        (["--held-out=0.3"], "belongs to another training"),
    ):
        assert_fails(plada_train(*run_options(sources, "--max-bytes=60", *more)), text)
        assert not (sources / "out" / "report.json").exists()
    result = plada_train(*run_options(sources, "--max-bytes=60", "--json"))
    assert result.exit_code == 0, result.output
    assert len(planner.calls) == 1
    assert (sources / "out" / "payload.plada").read_bytes() == chosen
    assert json.loads(result.stdout)["plan"]["candidate"]["name"] == "lowest entropy"


# --- report ---


def test_report_shows_a_run_again_and_names_what_is_missing(sources: Path) -> None:
    assert plada_train(*run_options(sources, "--keep=0.5")).exit_code == 0
    out = sources / "out"
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    result = plada_train("report", out)
    assert result.stdout.strip() == str(out / "report.html")
    assert (out / "report.html").read_bytes() == page
    assert plada_train("report", out, "--output=-").stdout.encode().strip() == page.strip()
    shutil.rmtree(out / "scores")
    result = plada_train("report", out, f"--output={sources / 'other.html'}")
    assert result.exit_code == 0
    assert "plada-train: without Images by energy, Energies, Classes: " in result.stderr
    assert (sources / "other.html").exists()
    assert_fails(plada_train("report", sources / "nowhere"), "nowhere")
