from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.deploy.prediction import Prediction
from eanet.errors import EanetError
from eanet.models.unknown import DetectorFit
from eanet.report.cells import MOST, cell_images
from eanet.report.page import write_page
from eanet.report.report import Report
from eanet.report.unknown import OtherPictures
from eanet.training.run_config import Environment
from tests.support.reports import Reader, make_report, make_training

HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&b <c> 'd'")


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Report], tuple[str, Reader]]:
    """Writes a page and reads it: its text and a reader of it."""

    def write_and_read(report: Report) -> tuple[str, Reader]:
        text = write_page(report, tmp_path / "report.html").read_text("utf-8")
        return text, Reader(text)

    return write_and_read


def images_in(page: Reader) -> list[Image.Image]:
    """The images in a page, decoded."""
    found = []
    for source in page.values("img", "src"):
        kind, _, encoded = source.partition(";base64,")
        assert kind in ("data:image/png", "data:image/jpeg")
        found.append(Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))))
        found[-1].load()
    return found


CONTENTS = {
    "two classes": lambda: make_report(["ant", "bee"], 9),
    "one class": lambda: make_report(["ant"], 3),
    "no mistake": lambda: make_report(["ant", "bee"], 9, wrong=0),
    "a hundred classes": lambda: make_report([f"class {i}" for i in range(100)], 700),
    "a thousand classes": lambda: make_report([f"class {i}" for i in range(1000)], 3000),
    "classes without images": lambda: make_report([f"class {i}" for i in range(30)], 10),
    "one image": lambda: make_report(["ant", "bee", "cat"], 1, wrong=1),
    "large images with a run": lambda: make_report(["a", "b"], size=300, training=make_training()),
    "hostile names": lambda: make_report(HOSTILE, training=make_training(processor=HOSTILE[0])),
    "hostile names of many classes": lambda: make_report([*HOSTILE, *map(str, range(40))]),
}


@pytest.mark.parametrize("make", CONTENTS.values(), ids=CONTENTS)
def test_a_page_is_whole_and_needs_nothing_but_itself(
    read: Callable[[Report], tuple[str, Reader]], make: Callable[[], Report]
) -> None:
    text, page = read(make())
    assert max(page.ids.values()) == 1
    for address in page.addresses:
        assert address.startswith("data:image/") or address[1:] in page.ids
    assert not re.search(r"://|@import|url\((?!#)", text.lower())
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert page.tags["script"] == page.tags["h1"] == page.tags["main"] == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(page.values("img", "alt"))
    assert len(page.values("img", "alt")) == page.tags["img"]
    assert len(page.values("svg", "aria-label")) == page.tags["svg"]
    assert len(page.values("th", "scope")) == page.tags["th"]
    assert len(text) < 3_000_000
    assert max(max(image.size) for image in images_in(page)) <= 1024
    names = re.findall(r"<h2[^>]*>([^<]*)<", text)
    assert not {*names} & {*page.values("div", "aria-label")}, "two regions of one name"


def test_a_table_stands_beside_a_matrix_only_where_all_columns_have_room(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    text, page = read(make_report(["a class of eighteen", *map(str, range(11))], 50))
    assert "beside" in page.values("div", "class")
    assert re.search(r"\.beside \{[^}]*flex-wrap: wrap", text)
    # What it says about a cell must not change its width, and so the place of the table.
    assert re.search(r"\.readout \{[^}]*width: 0; min-width: 100%", text)


@pytest.mark.parametrize(("classes", "scale"), [(8, 0.95), (20, 0.65), (100, 0.32)])
def test_a_printed_page_has_all_that_the_screen_scrolls_to(
    read: Callable[[Report], tuple[str, Reader]], classes: int, scale: float
) -> None:
    text, page = read(make_report([f"class {i}" for i in range(classes)], 100))
    paper = text.split("@media print {")[1].split("</style>")[0]
    assert re.search(r"\.scroll \{ overflow: visible; max-height: none; \}", paper)
    assert re.search(r"\.bar, .*\{ print-color-adjust: exact;", paper), "bars are backgrounds"
    assert "@media (prefers-color-scheme: dark)" not in text, "paper is white"
    assert "lazy" not in page.values("img", "loading"), "left out without a screen"
    (table,) = (style for style in page.values("table", "style") if "--cell" in style)
    assert f"--on-paper:{scale:.2f}" in table
    assert ".matrix { zoom: var(--on-paper); }" in paper


def test_names_stand_in_the_page_as_they_are(
    read: Callable[[Report], tuple[str, Reader]], tmp_path: Path
) -> None:
    files = [tmp_path / "a<b>" / f'{i}"&<i>.png' for i in range(40)]
    _, page = read(make_report(HOSTILE, files=files))
    for name in (*HOSTILE, 'a<b>/7"&<i>.png'):
        assert name in page.text
    assert any(HOSTILE[0] in text for text in page.values("img", "alt"))
    assert str(tmp_path) not in page.text


def test_a_name_cannot_turn_the_words_or_figures_after_it(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    _, page = read(make_report(["ant", "\u202e\u2069bee"], 9, wrong=0.9))
    assert r"\u202e\u2069bee as ant" in page.text, "most confused"
    assert r"\u202e\u2069bee, taken for ant:" in page.text, "what a cell opens"
    assert re.search(r"true: \\u202e\\u2069bee \d", page.text), "below an image"


def test_nothing_but_its_own_script_runs(read: Callable[[Report], tuple[str, Reader]]) -> None:
    text, page = read(make_report(["ant", "bee"]))
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(value for value in page.values("meta", "content") if "default-src" in value)
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_a_file_name_that_is_no_text_is_shown_as_far_as_it_is(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    files = [Path("red") / os.fsdecode(b"caf\xe9.png")] * 9
    _, page = read(make_report(["ant", "bee"], 9, files=files))
    assert "red/caf?.png" in page.text


def test_a_recall_has_its_interval_below_it(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report(["ant", "bee"], 40, wrong=0)
    row = report.evaluation.by_class[0]
    assert (row.support, row.recall) == (20, 1.0)
    assert "100.0% 84\N{EN DASH}100%" in " ".join(read(report)[1].text.split())
    assert (row.recall_low, row.recall_high) == (pytest.approx(0.84, abs=0.005), 1.0)


def test_classes_without_images_are_named_above_the_figures(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    _, page = read(make_report(["ant", "bee", "cat"], 2))
    assert "no images of cat: these figures say nothing about this class." in page.text
    assert "means over the classes that have images" in page.text
    _, page = read(make_report([f"class {i}" for i in range(30)], 10))
    assert "class 14 and 15 more: these figures say nothing about these 20 classes." in page.text
    assert "say nothing" not in read(make_report(["ant", "bee"], 2))[1].text


def test_the_figures_are_those_of_the_metrics(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report([f"class {i}" for i in range(20)], 601)
    _, page = read(report)
    assert f"{report.metrics['majority_baseline']:.2%}" in page.text
    assert "class 0, the largest class of these images" in page.text
    for name in ("top1", "top5"):
        assert f"{report.metrics[name]:.2%}" in page.text
        low, high = report.metrics[f"{name}_low"], report.metrics[f"{name}_high"]
        assert f"95% interval {low:.1%} to {high:.1%}" in page.text
    assert "are few" not in page.text
    few = read(make_report(["ant", "bee"], 20))[1].text
    assert "one of the largest classes of these images" in few, "which have 10 each"
    assert "20 images are few: on others like them" in few
    assert "Top-5" not in few, "of few classes, chance is among the best five"


def test_every_cell_and_class_is_told(read: Callable[[Report], tuple[str, Reader]]) -> None:
    report = make_report([f"class {i}" for i in range(100)], 700)
    text, _ = read(report)
    cells = re.findall(r'<td class="(right|wrong)[^>]*>(?:<button [^>]*>)?(\d+)<', text)
    matrix = report.evaluation.confusion()
    assert [int(n) for kind, n in cells if kind == "right"] == [n for n in np.diag(matrix) if n]
    assert sum(int(number) for _, number in cells) == 700
    assert len(re.findall(r'<th scope="row">class \d+</th><td>', text)) == 100
    rows = re.findall(r'<th scope="row">(class \d+)</th><td>.*?([\d.]+)%</td></tr>', text)
    assert [float(f1) for _, f1 in rows] == sorted(float(f1) for _, f1 in rows)


def test_a_cell_opens_some_of_its_images(read: Callable[[Report], tuple[str, Reader]]) -> None:
    report = make_report(["ant", "bee", "cat"], 300)
    text, page = read(report)
    matrix = report.evaluation.confusion()
    opened = set(page.values("template", "id"))
    assert opened == {f"cell-{t}-{p}" for t, p in np.argwhere(matrix).tolist()}
    assert set(page.values("button", "data-cell")) == opened
    shown = text.split('<template id="cell-0-1">')[1].split("</template>")[0]
    assert f"ant, taken for bee: {matrix[0, 1]} images" in shown
    assert shown.count("<img") == 12 < matrix[0, 1]
    evaluation = report.evaluation
    members = (evaluation.labels == 0) & (evaluation.predicted == 1)
    surest = np.where(members, evaluation.probabilities[:, 1], 0).argmax()
    assert shown.index(f"image {surest}:") < shown.index("</figure>"), "the worst comes first"


@pytest.mark.parametrize(("kinds", "count"), [(30, 2000), (130, 3000)])
def test_the_images_behind_cells_are_bounded_and_mistakes_come_first(
    kinds: int, count: int
) -> None:
    report = make_report([f"class {i}" for i in range(kinds)], count, wrong=0.1)
    cells = cell_images(report.evaluation, report.images)
    assert sum(len(cell.images) for cell in cells.values()) == MOST
    mistakes = report.evaluation.confusion() * ~np.eye(kinds, dtype=bool)
    opened = [(t, p) for t, p in cells if t != p]
    assert len(opened) == min(MOST, np.count_nonzero(mistakes))


def test_names_break_where_they_may_and_different_ones_stay_different(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    names = [f"a_long_name_of_a_class_with_number_{i}" for i in range(30)]
    text, page = read(make_report(names, 90))
    assert "a_<wbr>long_<wbr>name_" in text
    heads = re.findall(r'<th scope="col"><span title="(\w+)">([^<]+)</span>', text)
    assert [name for name, _ in heads] == names
    assert len({shown for _, shown in heads}) == 30
    assert names[17] in page.text


@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (0.92, "too sure, by 12.0 points on average"),
        (0.70, "not sure enough, by 10.0 points on average"),
        (0.79, "neither too sure nor too unsure on average"),
    ],
)
def test_calibration_is_told_in_words(
    read: Callable[[Report], tuple[str, Reader]], confidence: float, said: str
) -> None:
    report = make_report(["ant", "bee"])
    top1 = {"top1": 0.8, "top1_low": 0.77, "top1_high": 0.83}
    metrics = {**report.metrics, **top1, "confidence": confidence}
    _, page = read(replace(report, metrics=metrics))
    assert f"This model is {said}:" in page.text
    assert f"ECE; {said}" in page.text


def test_without_mistakes_the_least_certain_are_shown(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report(["ant", "bee"], 50, wrong=0)
    _, page = read(report)
    assert "Least certain" in page.text
    least = int(report.evaluation.probabilities.max(axis=1).argmin())
    assert page.values("img", "alt")[0].startswith(f"image {least}: ")


def test_the_matrix_of_a_thousand_classes_is_a_picture(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report([f"class {i}" for i in range(1000)], 3000)
    _, page = read(report)
    matrix = next(image for image in images_in(page) if image.size == (1000, 1000))
    seen = np.asarray(matrix)[..., 3] > 0
    np.testing.assert_array_equal(seen, report.evaluation.confusion() > 0)


def test_small_images_are_shown_exactly_and_large_ones_small(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report(["ant", "bee"], 5, size=32, wrong=0)
    _, page = read(report)
    shown = {np.asarray(image).tobytes() for image in images_in(page)}
    assert shown == {image.tobytes() for image in report.images.images}
    _, page = read(make_report(["ant", "bee"], 5, size=400))
    assert {image.size for image in images_in(page)} == {(160, 160), (96, 96)}


def test_the_most_wrong_come_first(read: Callable[[Report], tuple[str, Reader]]) -> None:
    report = make_report(["ant", "bee", "cat"], 200)
    _, page = read(report)
    evaluation = report.evaluation
    true = evaluation.probabilities[np.arange(200), evaluation.labels]
    first = page.values("img", "alt")[:24]
    assert [int(text.split()[1].rstrip(":")) for text in first] == true.argsort()[:24].tolist()
    worst = int(true.argmin())
    names = [report.images.classes[i[worst]] for i in (evaluation.labels, evaluation.predicted)]
    assert first[0] == f"image {worst}: {names[0]}, taken for {names[1]}"


def test_the_run_is_told_as_far_as_it_was_written_down(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    training = make_training(processor="A <fast> one", date="2026-01-02T03:04:05", torch="2.9")
    _, page = read(make_report(["ant", "bee"], training=training))
    for told in (
        "trained on A <fast> one · 2026-01-02",
        "3 of 3, best 3",
        "1,234",
        "0:00:03",
        "flipno",
        "tensorboardno",
    ):
        assert told in page.text
    assert page.tags["svg"] == 4
    config = training.config.model_copy(update={"environment": Environment()})
    old = replace(training, config=config, history=[])
    _, page = read(make_report(["ant", "bee"], training=old))
    assert page.tags["svg"] == 2
    _, page = read(make_report(["ant", "bee"]))
    assert "training" not in page.ids


def test_a_calibration_is_told_with_what_was_before(
    read: Callable[[Report], tuple[str, Reader]],
) -> None:
    report = make_report(["ant", "bee"], 2000)
    assert "with a temperature" not in read(report)[1].text, "there is nothing to fit it on"
    able = replace(report, can_calibrate=True)
    assert "To correct it with a temperature" in read(able)[1].text
    told = {"temperature": 1.25, "temperature_images": 20, "ece_before": 0.321, "nll_before": 0.987}
    metrics = {**report.metrics, **told}
    _, page = read(replace(report, before=report.evaluation, metrics=metrics))
    for text in ("temperature of 1.250", "ECE 32.1% before", "0.987 before", "○ before"):
        assert text in page.text
    assert "rough estimate" not in page.text
    worse = "worse on these images: the 20 validation images that it was fitted on are too few"
    assert (worse in page.text) == (report.metrics["nll"] > 0.987)
    better = {**metrics, "nll_before": report.metrics["nll"] - 0.01}
    assert worse in read(replace(report, before=report.evaluation, metrics=better))[1].text


def test_what_is_not_answered_is_told(read: Callable[[Report], tuple[str, Reader]]) -> None:
    report = make_report(["ant", "bee"], 200)
    assert "--false-rejections 0.05" in read(report)[1].text
    assert (
        "whatever an image shows: too few." in read(replace(report, no_detector="too few"))[1].text
    )
    distance = np.linspace(0.1, 1.1, 200, dtype=np.float32)
    evaluation = replace(report.evaluation, distance=distance)
    known = int((distance > 1).sum())
    predictions = tuple(Prediction(("ant",), (0.8,), far) for far in (1.4, 0.9, 2.0))
    others = OtherPictures(
        "things",
        tuple(Path(f"things/{i}.png") for i in range(3)),
        predictions,
        {1: np.zeros((8, 8, 3), np.uint8), 0: np.ones((8, 8, 3), np.uint8)},
    )
    metrics = {**evaluation.metrics(), **others.metrics(distance)}
    fitted = DetectorFit(0.05, 1234, 321)
    judged = replace(report, evaluation=evaluation, metrics=metrics, detector=fitted, others=others)
    _, page = read(judged)
    probable = evaluation.probabilities.max(axis=1) >= 0.5
    assert known == (probable & (distance > 1)).sum() > 0
    for text in (
        f"50%{(probable & (distance <= 1)).mean():.1%}",
        "Images taken for unknown things are not answered either",
        "1,234 training images",
        "321 validation images",
        f"it is {known / 200:.1%} (95% interval",
        f"and of the right answers {metrics['right_rejected']:.1%} (95% interval",
        "Of 3 pictures in things, 66.7% (95% interval",
        f"{metrics['unknown_auroc']:.1%} (AUROC",
        "distance 0.90",
    ):
        assert text in page.text
    alts = page.values("img", "alt")
    assert "things/1.png: taken for ant, distance 0.90" in alts
    assert alts.index("things/1.png: taken for ant, distance 0.90") < alts.index(
        "things/0.png: rejected, distance 1.40"
    )
    assert "image 199: bee, correct" in alts


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EanetError, match="cannot write"):
        write_page(make_report(["ant", "bee"]), tmp_path / "file" / "report.html")
