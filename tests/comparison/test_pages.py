from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eanet.comparison.entries import Entry, format_differing, group_by_model, group_by_settings
from eanet.comparison.page import write_markdown, write_page
from eanet.comparison.plots import has_curves, plot_parameters, plot_progress
from eanet.comparison.runs import Run
from eanet.comparison.table import rows, write_models, write_runs
from eanet.comparison.training import Failure
from eanet.comparison.words import caption, conclusion, notes
from eanet.data.record import ImageRecord
from eanet.errors import EanetError
from eanet.training.run_config import Environment, ModelRecord
from eanet.training.run_directory import IMAGES
from tests.support.comparisons import DATA, ENVIRONMENT, make_entries, make_run, with_config
from tests.support.pictures import BLUE, ORANGE, amount, pixels
from tests.support.reports import Reader

GREEN = (21, 128, 61)


# Entries


def test_runs_that_differ_in_the_seed_alone_are_one_model() -> None:
    a, b, c = (make_run("vit", 0), make_run("keras_mlp", 0), make_run("vit", 1))
    entries = group_by_settings([a, b, c])
    assert [(entry.name, entry.runs) for entry in entries] == [
        ("vit", (a, c)),
        ("keras_mlp", (b,)),
    ]
    assert format_differing(entries) == []
    assert entries[1].difference is not None
    assert entries[1].difference.seeds == 1, "one pair of the same seed"


def test_runs_of_another_recipe_are_apart_and_it_is_said_in_what() -> None:
    twin = replace(make_run("vit", 0), path=Path("runs/twin"))
    longer = replace(make_run("vit", 0, learning_rate=0.01), path=Path("runs/longer"))
    entries = group_by_settings([make_run("vit", 0), longer, twin])
    assert [entry.name for entry in entries] == ["vit-0", "longer", "twin"]
    assert format_differing(entries) == ["learning rate 0.001, 0.01"]
    assert notes(entries) == [
        "The runs differ in more than their models: learning rate 0.001, 0.01."
    ]


def test_runs_on_other_training_images_or_machines_are_told() -> None:
    other = with_config(
        make_run("keras_mlp"),
        data=DATA.model_copy(update={"fingerprint": "g"}),
        environment=Environment(processor="another"),
    )
    assert format_differing(group_by_settings([make_run("vit"), other])) == [
        "processor some processor, another",
        "training images",
    ]


@pytest.mark.parametrize("are_same", [True, False])
def test_the_same_training_images_at_two_sizes_are_not_called_others(
    are_same: bool, tmp_path: Path
) -> None:
    runs = []
    for number, size in enumerate((32, 64)):
        data = DATA.model_copy(update={"fingerprint": f"of {size} pixels"})
        run = with_config(make_run("vit", image_size=size), data=data)
        (tmp_path / f"{size}").mkdir()
        record = ImageRecord(np.array([4, 8 if are_same else 8 + 4 * number], dtype=np.uint64))
        record.write(tmp_path / f"{size}" / IMAGES)
        runs.append(replace(run, path=tmp_path / f"{size}"))
    others = [] if are_same else ["training images"]
    assert format_differing(group_by_settings(runs)) == ["image size 32, 64", *others]


def test_runs_that_began_with_other_weights_or_had_another_teacher_are_apart() -> None:
    begun = with_config(make_run("vit", 1), init=ModelRecord(sha256="ab" * 32))
    taught = with_config(make_run("vit", 2), teacher=ModelRecord(sha256="cd" * 32))
    entries = group_by_settings([make_run("vit", 0), begun, taught])
    assert [len(entry.runs) for entry in entries] == [1, 1, 1]
    assert format_differing(entries) == ["init None, abababab", "teacher None, cdcdcdcd"]


def test_runs_of_one_name_are_told_apart_by_their_folders() -> None:
    runs = [
        replace(make_run("vit", 0, learning_rate=rate), path=Path(f"{folder}/run"))
        for folder, rate in (("a/x", 0.1), ("b/x", 0.2), ("b/y", 0.3))
    ]
    assert [entry.name for entry in group_by_settings(runs)] == ["a/x/run", "b/x/run", "y/run"]


def test_conditions_are_what_all_runs_have_in_common(tmp_path: Path) -> None:
    one = ENVIRONMENT.model_copy(update={"cores": 2})
    other = Environment(processor="another processor", cores=2)
    runs = [
        with_config(make_run("vit", epsilon=1e-7), environment=one),
        with_config(make_run("keras_mlp"), environment=other),
    ]
    page = write_page(group_by_settings(runs), tmp_path / "page.html", title="x").read_text("utf-8")
    shown = Reader(page).text.rpartition("Conditions")[2]
    assert "processor" not in shown
    assert "cores" in shown
    assert "epsilon hat" in shown, "which does not differ"
    assert "1e-07" not in shown


def shifted(run: Run, by: int) -> Run:
    """The same run, tested on as many images of which the last ``by`` are others."""
    keys = run.predictions.keys + np.uint64(by)
    return replace(run, predictions=replace(run.predictions, test_images="u", keys=keys))


def test_runs_that_share_no_test_image_are_not_compared() -> None:
    runs = [make_run(seed=0), shifted(make_run(seed=1), 200)]
    message = "no image is a test image of all: runs/vit-0, runs/vit-1; runs are compared on"
    with pytest.raises(EanetError, match=message):
        group_by_settings(runs)
    with pytest.raises(EanetError, match=message):
        group_by_model(["vit"], runs, ())


def test_runs_are_compared_on_the_images_that_all_were_tested_on() -> None:
    old, new = make_run("vit"), make_run("keras_mlp", 1)
    entries = group_by_settings([old, shifted(new, 50)])
    found = [entry.runs[0].predictions.correct[1] for entry in entries]
    assert np.array_equal(found[0], old.predictions.correct[1][50:])
    assert np.array_equal(found[1], new.predictions.correct[1][:150])
    assert entries[1].difference.mean == pytest.approx(found[1].mean() - found[0].mean())
    assert "of the same 150 test images" in caption(entries)
    assert notes(entries)[0] == (
        "Only the 150 images count that all runs were tested on, with the same label: single runs "
        "were tested on 200."
    )
    assert not any("tested on" in line for line in notes(group_by_settings([old, new])))


def test_images_that_one_of_three_runs_was_not_tested_on_count_for_none() -> None:
    runs = [
        make_run("vit"),
        shifted(make_run("keras_mlp"), 50),
        shifted(make_run("eanet_nano"), 80),
    ]
    for entry in group_by_settings(runs):
        assert entry.runs[0].predictions.keys.tolist() == list(range(80, 200))


def test_the_groups_of_the_images_that_count_are_their_own() -> None:
    old, new = make_run("vit"), shifted(make_run("keras_mlp", 1), 50)
    groups = np.arange(200) // 4
    old = replace(old, predictions=replace(old.predictions, groups=groups))
    kept, entry = group_by_settings([old, new])
    assert np.array_equal(kept.runs[0].predictions.groups, groups[50:])
    assert entry.difference.groups == 38


def test_pairs_are_the_seeds_that_both_models_have() -> None:
    runs = [make_run("vit", seed) for seed in (0, 1, 2)]
    runs += [make_run("keras_mlp", seed) for seed in (1, 2, 3)]
    assert group_by_settings(runs)[1].difference.seeds == 2
    assert group_by_settings([*runs[:3], runs[-1]])[1].difference is None
    assert group_by_settings([runs[0], runs[-1]])[1].difference.seeds == 1, (
        "one of each: whatever seed"
    )
    failures = [Failure("vit", 1, "it diverged"), Failure("keras_mlp", 0, "it diverged")]
    left = group_by_model(["vit", "keras_mlp"], [runs[0], runs[3]], failures)
    assert left[1].difference is None, "one of each is left, of different seeds"


def test_a_model_none_of_whose_runs_has_ended_stays_in_the_table_with_its_reason() -> None:
    failures = [Failure("keras_mlp", 0, "it diverged"), Failure("vit", 1, "it was killed")]
    entries = group_by_model(["vit", "keras_mlp"], [make_run("vit")], failures)
    first, second = rows(entries)
    assert first["top-1, %"].endswith(" (1 of 2)")
    assert (second["top-1, %"], second["parameters"]) == ("failed", "-")
    assert notes(entries) == [
        "vit, seed 1 failed: it was killed",
        "keras_mlp, seed 0 failed: it diverged",
    ]
    assert conclusion(entries) == (
        "No other model has a run of the same seed as vit: nothing is compared."
    )
    with pytest.raises(EanetError, match="every run failed; the first: it diverged"):
        group_by_model(["keras_mlp"], [], failures[:1])


# Table and words


def test_a_row_tells_costs_scores_and_the_difference() -> None:
    first, second = rows(make_entries([0.8, 0.6]))
    assert first["model"] == "vit:depth=1"
    assert first["parameters"] == "11,000"
    assert first["multiply-adds"] == "1 M"
    assert first["training time"] == "0:08"
    assert first["memory, MiB"] == "256"
    assert first["images/s"] == "250", "the median epoch"
    assert first["difference"] == first["p"] == "-"
    assert second["difference"].startswith("-19.33 (-2")
    assert second["p"] == "<0.001"
    mean, deviation = second["top-1, %"].split(" ± ")
    assert 59 < float(mean) < 61
    assert float(deviation) > 0


def test_columns_without_figures_are_left_out() -> None:
    few = DATA.model_copy(update={"classes": ("a", "b")})
    run = replace(with_config(make_run(), data=few), peak_memory=None)
    assert list(rows([Entry("vit", (run,))])[0]) == [
        "model",
        "top-1, %",
        "parameters",
        "multiply-adds",
        "training time",
        "images/s",
    ]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (
            make_entries([0.8, 0.9, 0.5, 0.8]),
            "vit:depth=2 (+9.67 points) is better than vit:depth=1; vit:depth=3 (-29.00 points) "
            "is worse than vit:depth=1; no difference is shown between vit:depth=1 and "
            "vit:depth=4, which does not mean that there is none; this holds for these data and "
            "this recipe, not for others.",
        ),
        (
            make_entries([0.8, 0.5, 0.6], 1),
            "vit:depth=2 (-28.00 points) and vit:depth=3 (-19.00 points) are worse than "
            "vit:depth=1; with one seed each, this compares these trained networks on images like "
            "the test images, not the models with other seeds.",
        ),
        (make_entries([0.8]), "There is only one model, so nothing is compared."),
    ],
)  # fmt: skip
def test_the_conclusion_says_what_follows_and_what_does_not(
    entries: list[Entry], sentence: str
) -> None:
    assert conclusion(entries) == sentence


def test_models_of_unequal_numbers_of_seeds_are_not_spoken_of_as_equal() -> None:
    runs = [make_run("vit", seed) for seed in (0, 1, 2)]
    runs += [make_run("keras_mlp", seed, accuracy=0.5) for seed in (0, 1)]
    runs += [make_run("cnn", 2, accuracy=0.5), make_run("keras_eanet", 7)]
    entries = group_by_settings(runs)
    assert "Means of 1 to 3 seeds" in caption(entries)
    assert notes(entries) == [
        "Differences are over the seeds that both models have (keras_mlp 2, cnn 1), so they are "
        "not those of the means."
    ]
    assert conclusion(entries).endswith(
        "are worse than vit; keras_eanet and vit have no seed in common; this holds for these data "
        "and this recipe, not for others; of cnn, with one pair of runs, it compares these trained "
        "networks on images like the test images, not the models."
    )


def test_the_caption_names_the_test_that_was_used() -> None:
    assert "95% t interval; p is of the t test" in caption(make_entries([0.8, 0.7]))
    assert "McNemar" not in caption(make_entries([0.8, 0.7]))
    single = caption(make_entries([0.8, 0.7], 1))
    assert "McNemar's exact test" in single
    assert "±" not in single
    assert "not corrected for their number" not in single
    assert "not corrected for their number" in caption(make_entries([0.8, 0.7, 0.6]))


def test_the_caption_says_how_many_groups_the_tests_count() -> None:
    runs = [make_run("vit"), make_run("keras_mlp")]
    groups = np.arange(200) // 25
    grouped = [replace(run, predictions=replace(run.predictions, groups=groups)) for run in runs]
    assert "the tests are over 8 groups" in caption(group_by_settings(grouped))
    assert "Fisher's randomisation test on the predictions" in caption(group_by_settings(grouped))
    assert "McNemar's exact test" in caption(group_by_settings(runs))
    assert "group" not in caption(group_by_settings(runs))


def test_the_caption_explains_memory_only_where_the_table_has_it() -> None:
    entries = [Entry("vit", (make_run(),))]
    assert "images/s is that of the median epoch; memory is the peak" in caption(entries)
    unmeasured = [Entry("vit", (replace(make_run(), peak_memory=None),))]
    assert "memory, MiB" not in rows(unmeasured)[0]
    assert caption(unmeasured).endswith("images/s is that of the median epoch.")


def test_figures_are_written_as_csv_for_models_and_runs(tmp_path: Path) -> None:
    entries = make_entries([0.8, 0.6], 2)
    entries[1] = replace(entries[1], failures=(Failure("vit:depth=2", 2, "it diverged"),))
    with write_models(entries, tmp_path / "models.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["difference"] == first["p"] == ""
    assert float(second["top1"]) == entries[1].mean("top1")
    assert float(second["difference_low"]) == entries[1].difference.low
    assert (second["pairs"], second["failed"]) == ("2", "1")
    with write_runs(entries, tmp_path / "runs.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["model"][-1], row["seed"]) for row in table] == [
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("2", "1"),
        ("2", "2"),
    ]
    assert float(table[3]["top1"]) == entries[1].runs[1].top1
    assert table[-1]["failed"] == "it diverged"


# Pictures and pages


def test_curves_have_the_colours_of_their_models(tmp_path: Path) -> None:
    entries = make_entries([0.8, 0.7, 0.6])
    drawn = pixels(plot_progress(entries, tmp_path / "curves.png", title="On photos"))
    for colour in (BLUE, ORANGE, GREEN):
        assert amount(drawn, colour) > 400
    two = pixels(plot_progress(entries[:2], tmp_path / "curves.png"))
    assert amount(two, GREEN) == 0


def test_curves_are_shown_where_they_have_settled(tmp_path: Path) -> None:
    text = plot_progress(make_entries([0.9, 0.89]), tmp_path / "curves.svg").read_text()
    assert ">90<" in text or ">90.0<" in text
    assert ">20<" not in text, "where the first of four epochs is"


def test_accuracy_by_parameters_has_a_point_for_each_model(tmp_path: Path) -> None:
    drawn = pixels(plot_parameters(make_entries([0.8, 0.7]), tmp_path / "size.png", title="x"))
    assert min(amount(drawn, BLUE), amount(drawn, ORANGE)) > 400


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_page_is_whole_and_tells_all(tmp_path: Path, seeds: int) -> None:
    entries = make_entries([0.8, 0.7], seeds)
    entries[1] = replace(entries[1], failures=(Failure("vit:depth=2", 9, "a <b> went bad"),))
    path = write_page(entries, tmp_path / "comparison.html", title="<Models>")
    text = path.read_text("utf-8")
    page = Reader(text)
    for line in (conclusion(entries), caption(entries), *notes(entries), "<Models>"):
        assert line in page.text
    for row in rows(entries):
        assert all(cell in page.text for cell in row.values())
    assert max(page.ids.values()) == 1
    assert not [address for address in page.addresses if not address.startswith("#")]
    assert page.tags["svg"] == 3
    assert len(page.values("th", "scope")) == page.tags["th"]
    assert "some processor" in page.text
    names = re.findall(r"<h2[^>]*>([^<]*)<", text)
    assert not {*names} & {*page.values("div", "aria-label")}, "two regions of one name"


def test_a_run_without_validation_has_no_curves(tmp_path: Path) -> None:
    runs = []
    for model in ("vit", "keras_mlp"):
        run = make_run(model)
        kept = [{k: v for k, v in row.items() if k != "val_accuracy"} for row in run.history]
        runs.append(replace(run, history=kept))
    entries = group_by_settings(runs)
    assert not has_curves(entries)
    page = Reader(write_page(entries, tmp_path / "page.html", title="x").read_text("utf-8"))
    assert page.tags["svg"] == 1


def test_the_markdown_has_the_table_and_the_pictures_beside_it(tmp_path: Path) -> None:
    entries = make_entries([0.8, 0.7])
    path = write_markdown(
        entries, tmp_path / "comparison.md", title="Two", pictures=[tmp_path / "curves.png"]
    )
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "# Two"
    assert lines[2] == conclusion(entries)
    heads, rule, first, second = lines[4:8]
    assert heads.count("|") == rule.count("|") == first.count("|") == second.count("|") == 10
    assert second.startswith("| vit:depth=2 |")
    assert lines[-1] == "![curves](curves.png)"


def test_names_have_no_effect_in_the_markdown(tmp_path: Path) -> None:
    entries = make_entries([0.8, 0.7])
    entries[1] = replace(entries[1], name="a|b\n<img src=x>\x1b[2J")
    path = write_markdown(entries, tmp_path / "comparison.md", title="*", pictures=[])
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == r"# \*"
    assert "<img" not in lines[2].replace(r"\<img", "")
    assert lines[7].startswith(r"| a\|b\\x0a\<img src=x>\\x1b\[2J | ")
