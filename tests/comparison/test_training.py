"""Comparisons that train: conditions, order, resuming, failures, and finished runs."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import eanet
from eanet.comparison import runs as comparison_runs
from eanet.comparison import training as module
from eanet.comparison.entries import group_by_settings
from eanet.comparison.runs import PREDICTIONS, Predictions, Run, read_peak_memory, write_peak_memory
from eanet.comparison.table import figures, rows
from eanet.data.imageset import ImageSet
from eanet.data.record import CODES
from eanet.device import Machine
from eanet.errors import EanetError, NonFiniteOutputError, WrongArgumentError
from eanet.files import lock_folder
from eanet.metrics.evaluation import Evaluation, evaluate_model
from eanet.model_files.find import model_digest
from eanet.training.run_directory import RunDirectory
from tests.support.comparisons import make_run
from tests.support.pictures import blank_pictures

SMALL, SMALLER = "vit:depth=1,dim=16", "vit:depth=1,dim=8"
QUICK: dict[str, Any] = {
    "recipe": "default",
    "epochs": 1,
    "image_size": 8,
    "precision": "fp32",
    "threads": 1,
    "compile": "off",
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs are trained in this process, without pictures; what was trained."""
    threads, trained = torch.get_num_threads(), []

    def call(do: Any, settings: Any, *others: Any) -> Any:
        trained.append(settings.name)
        return do(settings, *others)

    monkeypatch.setattr(module, "in_own_process", call)
    with blank_pictures():
        yield trained
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> eanet.Comparison:
    """Two models with two seeds each."""
    with pytest.MonkeyPatch.context() as patch, blank_pictures():
        patch.setattr(module, "in_own_process", lambda do, *given: do(*given))
        return eanet.compare(
            SMALL, SMALLER, seeds=2, output=tmp_path_factory.mktemp("c") / "both", **QUICK
        )


def names(comparison: eanet.Comparison) -> list[str]:
    return [run.path.name for entry in comparison.entries for run in entry.runs]


def test_a_comparison_has_a_run_for_each_model_and_seed(made: eanet.Comparison) -> None:
    assert names(made) == [
        "vit-depth=1-dim=16-seed0",
        "vit-depth=1-dim=16-seed1",
        "vit-depth=1-dim=8-seed0",
        "vit-depth=1-dim=8-seed1",
    ]
    assert {file.name for file in made.files} == {
        "comparison.csv",
        "comparison.md",
        "comparison.html",
        "runs.csv",
        "curves.png",
        "parameters.png",
    }
    assert all(file.is_file() for file in made.files)
    assert made.conclusion in (made.path / "comparison.md").read_text("utf-8")
    assert made.notes == []
    assert list(made.table["model"])[1] == SMALLER
    assert "t interval" in made.caption


def test_the_answers_that_are_kept_are_those_of_the_report(made: eanet.Comparison) -> None:
    for entry in made.entries:
        for run in entry.runs:
            metrics = json.loads((run.path / "metrics.json").read_text())
            assert (run.top1, run.top5) == pytest.approx((metrics["top1"], metrics["top5"]))
            assert run.peak_memory is not None
            assert run.peak_memory > 2**26
    first, other = made.entries
    assert first.difference is None
    assert other.difference is not None
    assert other.difference.mean == pytest.approx(other.mean("top1") - first.mean("top1"))


def test_the_same_command_trains_what_is_missing_alone(
    made: eanet.Comparison, tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    lost, half = folder / "vit-depth=1-dim=8-seed0", folder / "vit-depth=1-dim=16-seed1"
    shutil.rmtree(lost)
    lost.mkdir()  # killed before it had written a thing
    for leftover in (".partial-config.yaml", "images.npy", "start_images.npy"):
        (lost / leftover).touch()
    (half / PREDICTIONS).unlink()  # killed before it was judged
    again = eanet.compare(SMALL, SMALLER, seeds=2, output=folder, **QUICK)
    assert here == [lost.name, half.name]
    assert "run 2 of 4: vit:depth=1,dim=8, seed 0\n" in (err := capsys.readouterr().err)
    assert "run 1 of 4: vit:depth=1,dim=16, seed 0: already done\n" in err
    assert "run 3 of 4: vit:depth=1,dim=16, seed 1: resuming\n" in err
    for one, other in zip(made.entries, again.entries, strict=True):
        for run, twin in zip(one.runs, other.runs, strict=True):
            assert np.array_equal(run.predictions.correct[1], twin.predictions.correct[1])


def test_a_seed_more_goes_on_with_the_others(
    made: eanet.Comparison, tmp_path: Path, here: list[str]
) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    found = eanet.compare(SMALL, seeds=3, output=folder, **QUICK)
    assert here == ["vit-depth=1-dim=16-seed2"]
    assert len(found.entries[0].runs) == 3


def test_two_comparisons_do_not_share_a_folder_at_once(made: eanet.Comparison) -> None:
    with lock_folder(made.path), pytest.raises(EanetError, match="another process is using"):
        eanet.compare(SMALL, seeds=2, output=made.path, **QUICK)


def test_a_folder_with_other_settings_or_things_is_refused(
    made: eanet.Comparison, tmp_path: Path, here: list[str]
) -> None:
    with pytest.raises(EanetError, match=r"holds a comparison with epochs 1, not 2; name another"):
        eanet.compare(SMALL, seeds=2, output=made.path, **{**QUICK, "epochs": 2})
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(
        EanetError, match="is not the folder of a comparison that trains; name another"
    ):
        eanet.compare(SMALL, output=tmp_path, **QUICK)
    folder = shutil.copytree(made.path, tmp_path / "copy")
    (folder / "vit-depth=1-dim=16-seed2").mkdir()
    (folder / "vit-depth=1-dim=16-seed2" / "notes.txt").touch()
    found = eanet.compare(SMALL, seeds=3, output=folder, **QUICK)
    assert "is in the way: it is not a run directory" in found.notes[0]
    text = (folder / "comparison.yaml").read_text()
    print_ = text.split("fingerprint: ")[1].strip()
    (folder / "comparison.yaml").write_text(text.replace(print_, "0" * 64))
    with pytest.raises(
        EanetError, match=r"the images are no longer those that .* was started with"
    ):
        eanet.compare(SMALL, seeds=2, output=folder, **QUICK)


def test_a_comparison_that_was_killed_as_it_began_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / ".partial-00000000-00000000.yaml").touch()
    monkeypatch.setattr(module, "_train_each", stop)
    with pytest.raises(KeyboardInterrupt):
        eanet.compare(SMALL, output=tmp_path, **QUICK)
    assert (tmp_path / "comparison.yaml").is_file()


def test_a_teacher_is_known_before_and_stays_the_same(
    made: eanet.Comparison, trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    folder = tmp_path / "c"
    with pytest.raises(EanetError, match=r"lacks 10 of these 10 classes, such as 0;"):
        eanet.compare(SMALL, seeds=1, output=folder, teacher=trained.path, **QUICK)
    assert not folder.exists() or not any(folder.iterdir())
    runs = made.path / names(made)[0], made.path / names(made)[1]
    teacher = shutil.copytree(runs[0], tmp_path / "teacher")
    eanet.compare(SMALL, seeds=1, output=folder, teacher=teacher, **QUICK)
    shutil.copy(runs[1] / "model.safetensors", teacher)
    with pytest.raises(
        EanetError, match=r"the teacher is no longer the model that \S+ was started"
    ):
        eanet.compare(SMALL, seeds=2, output=folder, teacher=teacher, **QUICK)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"views": 2, "flip": False}, "views=2: mirrored views are of no use"),
        ({"patience": 1, "validation_fraction": 0}, "patience=1: without validation images"),
    ],
)
def test_what_no_run_could_do_is_refused_before_the_first(
    wrong: dict[str, Any], message: str, tmp_path: Path, here: list[str]
) -> None:
    with pytest.raises(WrongArgumentError, match=message):
        eanet.compare(SMALL, seeds=2, output=tmp_path / "c", **QUICK, **wrong)
    assert not here
    assert not (tmp_path / "c").exists()  # so that the corrected command may use the folder


def test_a_run_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(do: Any, settings: Any, *others: Any) -> Any:
        if settings.seed == 1:
            raise BrokenProcessPool
        if settings.model == SMALLER:
            raise RuntimeError("out\n of memory")
        return do(settings, *others)

    monkeypatch.setattr(module, "in_own_process", call)
    found = eanet.compare(SMALLER, SMALL, seeds=2, output=tmp_path / "c", **QUICK)
    assert names(found) == ["vit-depth=1-dim=16-seed0"]
    assert found.notes == [
        f"{SMALLER}, seed 0 failed: RuntimeError: out of memory",
        f"{SMALLER}, seed 1 failed: its process was killed, probably out of memory; "
        "try a smaller --batch-size",
        f"{SMALL}, seed 1 failed: its process was killed, probably out of memory; "
        "try a smaller --batch-size",
    ]


def test_all_runs_are_compiled_where_one_is_worth_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = []

    def measure(settings: Any, operations: float, machine: Machine) -> tuple[bool, str]:
        works.append(operations)
        return False, "for a test"

    monkeypatch.setattr(module, "resolve_compile", measure)
    monkeypatch.setattr(module, "in_own_process", lambda *_: pytest.fail("nothing to train"))
    auto = {**QUICK, "compile": "auto"}
    for name, models in (("a", [SMALL]), ("b", [SMALLER]), ("c", [SMALLER, SMALL])):
        with pytest.raises(BaseException, match="nothing to train"):
            eanet.compare(*models, output=tmp_path / name, **auto)
    assert works[1] < works[0] == works[2]
    assert "compile: 'off'\n" in (tmp_path / "c" / "comparison.yaml").read_text()


# Finished runs


def test_finished_runs_are_compared_as_they_are(made: eanet.Comparison, tmp_path: Path) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    paths = [folder / name for name in names(made)]
    for path in paths[:2]:
        (path / PREDICTIONS).unlink()  # as in runs of `eanet train`
    found = eanet.compare(*paths, output=tmp_path / "out")
    assert rows(found.entries) == rows(made.entries)
    assert not (paths[0] / PREDICTIONS).exists(), "a run that was named is only read"
    assert found.path == tmp_path / "out"


def test_the_folder_of_finished_runs_is_named_after_them(
    made: eanet.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [made.path / name for name in names(made)]
    few = eanet.compare(paths[0], paths[2])
    assert few.path == Path("runs/compare-vit-depth=1-dim=16-seed0-vit-depth=1-dim=8-seed0")
    assert "McNemar" in few.caption
    assert eanet.compare(*paths).path.name.endswith("-seed0-and-1-more")


def test_wrong_names_are_one_line(
    made: eanet.Comparison, trained: eanet.TrainingResult, tmp_path: Path
) -> None:
    run = made.path / names(made)[0]
    unfinished = shutil.copytree(run, tmp_path / "not finished")
    (unfinished / "metrics.json").unlink()
    cut = shutil.copytree(run, tmp_path / "cut")  # and looked at all the same
    config = (cut / "config.yaml").read_text().replace("epochs: 1", "epochs: 2")
    (cut / "config.yaml").write_text(config)
    patient = shutil.copytree(run, tmp_path / "patient")
    config = (cut / "config.yaml").read_text().replace("patience: null", "patience: 3")
    (patient / "config.yaml").write_text(config)
    state = RunDirectory(patient).read_checkpoint()
    state["progress"]["finished"] = False
    RunDirectory(patient).write_checkpoint(state)
    for arguments, settings, message in [
        ([], {}, "name the models or runs to compare"),
        ([SMALL], {"seeds": 0}, "--seeds takes 1 or more"),
        (["vti"], {}, "unknown model 'vti'; did you mean 'vit'?"),
        ([tmp_path], {}, "is neither a run directory nor a model"),
        (["runs/gone"], {}, "no such run directory: runs/gone"),
        ([run, SMALL], {}, "is a run and vit:depth=1,dim=16 is not; compare like with like"),
        ([run], {"epochs": 2, "seeds": 1}, "finished runs take no settings; leave out epochs, se"),
        ([SMALL], {"model": "vit", "seed": 3}, "leave out model, seed: a comparison trains"),
        (
            [SMALL],
            {"freeze": "trunk"},
            "--init, or in a comparison, trained models alone",
        ),
        ([run, trained.path], {}, "no image is a test image of all"),
        ([run], {"output": made.path}, "holds runs of its own; name another folder"),
        ([unfinished], {}, f"resume with: eanet train --resume '{unfinished}'"),
        ([cut], {}, f"resume with: eanet train --resume {cut}"),
        ([patient], {}, f"resume with: eanet train --resume {patient}"),
    ]:
        with pytest.raises(EanetError) as caught:
            eanet.compare(*arguments, **settings)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(WrongArgumentError, match="patch"):
        eanet.compare("vit:patch=1", output=tmp_path / "c")
    state["progress"]["finished"] = True  # stopped early
    RunDirectory(patient).write_checkpoint(state)
    assert len(eanet.compare(patient, output=tmp_path / "early").table)


@pytest.mark.parametrize("name", ["red/new.png", "new/new.png"])
def test_a_run_whose_images_have_changed_is_compared_on_what_is_left(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(trained.path, tmp_path / "run"))
    grown = Path(shutil.copytree(photos, tmp_path / "grown"))
    (grown / name).parent.mkdir(exist_ok=True)
    Image.new("RGB", (16, 16)).save(grown / name)
    config = (run / "config.yaml").read_text().replace(str(photos), str(grown))
    (run / "config.yaml").write_text(config)
    before = eanet.compare(trained.path).entries[0].runs[0].predictions
    after = eanet.compare(run, trained.path).entries[0].runs[0].predictions
    assert "test images are left" in capsys.readouterr().err
    assert len(after.keys) + after.left_out == len(before.keys)
    assert after.correct[1].mean() == before.correct[1].mean()


def test_a_run_takes_its_test_images_as_it_did_whatever_was_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (20, 8, 8)).astype(np.uint16)
    for number, pixels in enumerate(values):
        file = tmp_path / "deep" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    run = eanet.train(tmp_path / "deep", model=SMALL, output=tmp_path, **QUICK).path
    judged = []

    def judge(model: eanet.Classifier, images: ImageSet, **given: Any) -> Evaluation:
        judged.append(images.images[np.argsort(images.contents)])
        return evaluate_model(model, images, **given)

    monkeypatch.setattr(comparison_runs, "evaluate_model", judge)
    Run.read(run)
    Image.fromarray(60 * values[0]).save(tmp_path / "deep" / "a" / "brighter.png")
    Run.read(run)
    np.testing.assert_array_equal(*judged)


@pytest.mark.parametrize(("is_new", "left_out"), [(False, [1, 1]), (True, [0, 1])])
def test_an_image_that_has_another_label_by_now_does_not_count(
    trained: eanet.TrainingResult,
    photos: Path,
    tmp_path: Path,
    is_new: bool,
    left_out: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Path(shutil.copytree(trained.path, tmp_path / "run"))
    corrected = Path(shutil.copytree(photos, tmp_path / "corrected"))
    config = (run / "config.yaml").read_text().replace(str(photos), str(corrected))
    (run / "config.yaml").write_text(config)
    (run / PREDICTIONS).unlink(missing_ok=True)
    answers = (trained.path / "predictions.csv").read_text().splitlines()
    image = corrected / Path(answers[1].partition(",")[0]).relative_to(photos)
    other = next(f for f in corrected.iterdir() if f.is_dir() and f != image.parent)
    if is_new:
        other = corrected / "new"
        other.mkdir()
    image.rename(other / "moved.png")
    predictions = [entry.runs[0].predictions for entry in eanet.compare(run, trained.path).entries]
    assert [own.left_out for own in predictions] == left_out
    assert ("1 of them are of classes by now that" in capsys.readouterr().err) == is_new


def test_finished_runs_may_be_below_home(
    made: eanet.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(made.path))
    found = eanet.compare(*(f"~/{name}" for name in names(made)), output=tmp_path)
    assert rows(found.entries) == rows(made.entries)


def test_a_reason_is_one_line_that_says_what_to_do() -> None:
    answers = pickle.loads(pickle.dumps(NonFiniteOutputError()))  # as from another process
    assert "infinite or NaN" in module._reason(answers)
    kind = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})
    failed = module._reason(kind("C++ compile error\n" + "generated code\n" * 500))
    assert failed.endswith("; --compile off does without the compiler")
    assert "generated" not in failed


def test_the_peak_of_the_process_that_took_most_is_kept(tmp_path: Path) -> None:
    assert read_peak_memory(tmp_path) is None
    for peak in (5, 9, 7):
        write_peak_memory(tmp_path, peak)
    assert read_peak_memory(tmp_path) == 9


def test_times_are_summed_and_the_median_epoch_is_the_rate(made: eanet.Comparison) -> None:
    run = made.entries[0].runs[0]
    history = RunDirectory(run.path).read_history()
    assert run.seconds == sum(row["seconds"] for row in history)
    three = [{**history[0], "images_per_second": rate} for rate in (1.0, 50.0, 60.0)]
    other = Run(run.path, run.config, three, run.predictions, None)
    assert other.images_per_second == 50


def test_trained_models_are_fine_tuned_beside_random_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(3)
    start = eanet.create_model(f"{SMALL},heads=2", classes=["0", "1", "2"], image_size=8)
    trained = eanet.save_model(start, tmp_path / "start")
    found = eanet.compare(trained, SMALLER, seeds=1, output=tmp_path / "c", **QUICK)
    assert names(found) == [f"model-{model_digest(trained)[:8]}-seed0", "vit-depth=1-dim=8-seed0"]
    assert [entry.name for entry in found.entries] == [str(trained), SMALLER]
    tuned, random = (RunDirectory(entry.runs[0].path).read_config() for entry in found.entries)
    assert tuned.resolved.init == str(trained)
    assert random.resolved.init is None
    assert found.notes == [
        "Some runs begin with trained weights and others with random ones: differences between "
        "them are also ones of what was learned before."
    ]
    assert "fine-tune" not in capsys.readouterr().err
    again = eanet.compare(trained, SMALLER, seeds=1, output=tmp_path / "c", **QUICK)
    assert figures(again.entries) == figures(found.entries)


def test_trained_models_of_one_file_name_have_a_run_each(
    made: eanet.Comparison, tmp_path: Path, here: list[str]
) -> None:
    first, second = (run.path / "model.safetensors" for run in made.entries[0].runs)
    found = eanet.compare(first, second, seeds=1, output=tmp_path / "c", **QUICK)
    assert len(set(names(found))) == 2
    assert here == names(found)


def test_all_runs_are_tested_on_what_no_trained_model_has_seen(tmp_path: Path) -> None:
    earlier = eanet.train("digits", output=tmp_path, model=SMALL, split_seed=7, **QUICK)
    other = eanet.train("digits", output=tmp_path, model=SMALL, split_seed=8, **QUICK)
    trained = [result.path / "model.safetensors" for result in (earlier, other)]
    found = eanet.compare(*trained, SMALLER, seeds=1, output=tmp_path / "c", **QUICK)
    runs = [RunDirectory(entry.runs[0].path) for entry in found.entries]
    assert len({run.read_config().data.fingerprint for run in runs}) == 1
    test = eanet.load_dataset("digits", image_size=8).test
    for run in runs:
        judged = run.read_images().splits_of(test) == CODES["test"]
        for result in (earlier, other):
            seen = RunDirectory(result.path).read_images().splits_of(test)
            assert not np.any(judged & (seen == CODES["train"]))
    assert found.entries[2].difference is not None


def test_answers_are_those_of_the_model_that_is_there(
    made: eanet.Comparison, tmp_path: Path
) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    run = folder / "vit-depth=1-dim=8-seed0"
    assert Predictions.read(run) is not None
    (run / "model.safetensors").write_bytes(
        (folder / "vit-depth=1-dim=8-seed1" / "model.safetensors").read_bytes()
    )
    assert Predictions.read(run) is None
    right = Predictions.read(folder / "vit-depth=1-dim=8-seed1")
    assert right is not None
    assert np.array_equal(Run.read(run).predictions.correct[1], right.correct[1])


def test_answers_without_keys_as_earlier_versions_wrote_them_are_made_anew(
    made: eanet.Comparison, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(made.entries[0].runs[0].path, tmp_path / "run"))
    record = json.loads((run / PREDICTIONS).read_text())
    del record["keys"]
    (run / PREDICTIONS).write_text(json.dumps(record))
    assert Predictions.read(run) is None
    before = made.entries[0].runs[0].predictions
    assert np.array_equal(Run.read(run).predictions.keys, before.keys)


def test_a_finished_run_without_answers_answers_and_is_not_trained(
    made: eanet.Comparison, tmp_path: Path
) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    run = folder / "vit-depth=1-dim=8-seed0"
    answers = Predictions.read(run)
    assert answers is not None
    (run / PREDICTIONS).unlink()
    (run / "last.ckpt").unlink()  # as by somebody who wants the space
    written = (run / "history.csv").stat().st_mtime_ns
    eanet.compare(SMALL, SMALLER, seeds=2, output=folder, **QUICK)
    assert (run / "history.csv").stat().st_mtime_ns == written
    again = Predictions.read(run)
    assert again is not None
    assert np.array_equal(again.correct[1], answers.correct[1])


def test_a_run_that_was_trained_for_longer_is_none_of_the_comparison_any_more(
    made: eanet.Comparison, tmp_path: Path
) -> None:
    folder = shutil.copytree(made.path, tmp_path / "copy")
    eanet.resume(folder / "vit-depth=1-dim=8-seed0", epochs=2)
    with pytest.raises(EanetError, match=r"dim=8-seed0 has 2 epochs by now, and the others 1; "):
        eanet.compare(SMALL, SMALLER, seeds=2, output=folder, **QUICK)


def test_sizes_that_differ_are_asked_for(tmp_path: Path) -> None:
    start = eanet.create_model(f"{SMALL},heads=2", classes=["0", "1"], image_size=16)
    trained = eanet.save_model(start, tmp_path / "start")
    own = {name: value for name, value in QUICK.items() if name != "image_size"}
    with pytest.raises(EanetError, match=r"of 16 pixels and .* of 8: say which with --image-size"):
        eanet.compare(trained, SMALLER, seeds=1, output=tmp_path / "c", **own)


def test_it_is_said_what_a_training_would_begin_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (60, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    own = {name: value for name, value in QUICK.items() if name != "recipe"}
    eanet.compare(SMALLER, data=tmp_path / "photos", seeds=1, output=tmp_path / "c", **own)
    assert "eanet train alone would fine-tune eanet_tiny_64" in capsys.readouterr().err


def test_groups_of_the_test_images_are_kept_with_the_answers(
    made: eanet.Comparison, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(made.entries[0].runs[0].path, tmp_path / "run"))
    answers = made.entries[0].runs[0].predictions
    groups = np.arange(len(answers.correct[1])) // 3
    dataclasses.replace(answers, groups=groups).write(run)
    found = Predictions.read(run)
    assert found is not None
    assert np.array_equal(found.groups, groups)
    kept = json.loads((run / PREDICTIONS).read_text())
    for damage, message in (({"groups": [1, 2]}, "groups"), ({"keys": "AAAAAAAAAAA="}, "keys")):
        (run / PREDICTIONS).write_text(json.dumps(kept | damage))
        with pytest.raises(
            EanetError, match=rf"answers\.json has been changed or damaged: not 359 {message}"
        ):
            Predictions.read(run)


def test_pairs_of_runs_are_compared_by_group() -> None:
    first, other = make_run(accuracy=0.5, images=60), make_run("eanet", accuracy=0.75, images=60)
    (_, alone) = group_by_settings([first, other])
    groups = np.arange(60) // 20
    runs = [
        dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, groups=groups))
        for run in (first, other)
    ]
    (_, grouped) = group_by_settings(runs)
    assert alone.difference is not None
    assert alone.difference.is_shown
    assert grouped.difference is not None
    assert not grouped.difference.is_shown
    (_, later) = group_by_settings([first, runs[1]])  # which was told of no groups
    assert later.difference == grouped.difference
