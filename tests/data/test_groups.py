"""Whole groups are split off, by a column, a pattern or what is linked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.folds import fold_numbers
from eanet.data.groups import (
    NEVER,
    grouped_split,
    keep_every_class,
    linked,
    majority_classes,
    share_codes,
)
from eanet.data.source import open_source
from eanet.errors import EanetError


def test_what_is_linked_in_a_chain_is_one_group() -> None:
    groups = linked(5, np.array([[0, 3], [3, 4]]))
    assert groups[0] == groups[3] == groups[4]
    assert len(set(groups.tolist())) == 3


def test_about_the_fraction_of_every_class_is_split_off_in_whole_groups() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (300, 90, 30))
    groups = labels * 1000 + random.integers(0, 12, len(labels))
    remaining, held_out = grouped_split(labels, groups, 0.2, 0)
    assert sorted([*remaining, *held_out]) == list(range(len(labels)))
    assert not set(groups[remaining]) & set(groups[held_out])
    shares = np.bincount(labels[held_out]) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.07
    again = grouped_split(labels, groups, 0.2, 0)[1]
    other = grouped_split(labels, groups, 0.2, 1)[1]
    assert np.array_equal(held_out, again)
    assert not np.array_equal(held_out, other)


def test_a_class_of_two_groups_has_one_on_each_side_and_of_one_stays() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1])
    groups = np.array([5, 5, 5, 5, 6, 7, 7])
    remaining, held_out = grouped_split(labels, groups, 0.2, 0)
    assert (remaining.tolist(), held_out.tolist()) == ([0, 1, 2, 3, 5, 6], [4])
    labels[3] = 1  # so that its only group is not all that the class has
    assert grouped_split(labels, groups, 0.2, 0)[1].tolist() == [4]


def test_of_two_numbers_as_near_the_larger_is_held_out() -> None:
    assert len(grouped_split(np.zeros(4, np.int64), np.arange(4), 3 / 8, 0)[1]) == 2


def patients(lesions: dict[int, int], count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of 8 images of each patient; so many of some are of class 1, not of 0."""
    groups = np.repeat(np.arange(count), 8)
    labels = np.zeros(len(groups), np.int64)
    for patient, number in lesions.items():
        labels[np.flatnonzero(groups == patient)[:number]] = 1
    return labels, groups


@pytest.mark.parametrize("lesions", [{7: 3}, {7: 3, 8: 1}, {3: 1, 9: 1, 15: 1}])
def test_a_class_of_no_majority_never_loses_its_last_training_images(
    lesions: dict[int, int],
) -> None:
    labels, groups = patients(lesions)
    for seed in range(60):
        remaining, held_out = grouped_split(labels, groups, 0.2, seed)
        assert labels[remaining].any()
        assert len(held_out) == 32, "another patient is drawn in place of the one that remains"
        numbers = fold_numbers(labels, 5, seed, groups)
        folds = set(numbers[labels == 1].tolist())
        assert 0 in folds or len(folds) > 1
        assert (numbers == 0).sum() <= 8


def test_groups_are_drawn_again_only_if_a_class_would_be_lost() -> None:
    labels, groups = patients({7: 3, 8: 1})
    for seed in range(60):
        as_if = grouped_split(np.zeros(160, np.int64), groups, 0.2, seed)
        is_lost = not labels[as_if[0]].any()
        drawn = grouped_split(labels, groups, 0.2, seed)
        assert np.array_equal(as_if[1], drawn[1]) != is_lost
        elsewhere = grouped_split(labels, groups, 0.2, seed, np.array([0, 1]))
        assert np.array_equal(as_if[1], elsewhere[1])


def test_a_group_of_several_classes_is_not_torn() -> None:
    labels, groups = np.arange(40) % 2, np.arange(40) // 4
    remaining, held_out = grouped_split(labels, groups, 0.25, 3)
    assert not set(groups[remaining]) & set(groups[held_out])
    assert len(held_out)


def test_a_group_is_of_its_most_frequent_class_and_of_equals_of_the_first() -> None:
    labels, groups = np.array([1, 0, 2, 2, 0, 1, 2]), np.array([9, 9, 4, 4, 4, 6, 6])
    members, classes = majority_classes(labels, groups)
    assert members.tolist() == [2, 2, 0, 0, 0, 1, 1]
    assert classes.tolist() == [2, 1, 0]


def test_of_a_class_held_out_whole_the_smallest_group_stays() -> None:
    members, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 0, 1, 0])
    kept = keep_every_class(np.array([1, 1, 2]), members, labels)
    assert kept.tolist() == [1, NEVER, 2]
    elsewhere = keep_every_class(np.array([1, 1, 2]), members, labels, np.array([1]))
    assert elsewhere.tolist() == [1, 1, 2]


def test_new_images_go_where_their_group_was() -> None:
    codes, groups = np.array([0, -1, 2, -1, -1], np.int8), np.array([7, 7, 8, 8, 9])
    assert share_codes(codes, groups, -1).tolist() == [0, 0, 2, 2, -1]
    torn = np.array([2, 0, -1], dtype=np.int8)  # what the start was trained on is not tested on
    assert share_codes(torn, np.zeros(3, np.int64), -1).tolist() == [2, 0, 0]


def write_list(root: Path) -> Path:
    """12 images of 6 patients in each of two classes; the files say nothing of the patients."""
    lines = ["path,label,patient"]
    for number in range(24):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)).save(
            root / f"{number}.png"
        )
        lines.append(f"{number}.png,{'ab'[number % 2]},p{number // 4}{'ab'[number % 2]}")
    (root / "list.csv").write_text("\n".join(lines))
    return root / "list.csv"


def in_train(root: Path) -> None:
    (root / "train").mkdir()
    for file in list(root.glob("*.*")):
        file.rename(root / "train" / file.name)


def beside_train(root: Path) -> None:
    in_train(root)
    (root / "train" / "list.csv").rename(root / "list.csv")


@pytest.mark.parametrize("moved", [None, in_train, beside_train])
@pytest.mark.parametrize("place", ["list.csv", "."])
def test_a_column_of_a_list_names_the_groups(
    tmp_path: Path, place: str, moved: Callable[[Path], None] | None
) -> None:
    write_list(tmp_path)
    if moved is not None:
        moved(tmp_path)
    file = next(tmp_path.rglob("list.csv"))
    source = open_source(file if place == "list.csv" else tmp_path)
    data = source.load(DataSettings(image_size=8, group="patient"))
    patients = [
        {(int(file.stem) // 4, int(file.stem) % 2) for file in images.files}
        for images in (data.train, data.validation, data.test)
    ]
    assert not patients[0] & (patients[1] | patients[2])
    assert not patients[1] & patients[2]
    assert data.test.counts().tolist() == [2, 2]
    assert len(np.unique(data.test.groups)) == len(patients[2]) == 2


def test_groups_that_the_splits_of_the_source_divide_are_told(tmp_path: Path) -> None:
    write_list(tmp_path)
    lines = (tmp_path / "list.csv").read_text().splitlines()
    splits = ["split", *["train"] * 18, *["test"] * 6]  # images 16 and 17 are of patients in both
    rows = [f"{line},{split}" for line, split in zip(lines, splits, strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    source = open_source(tmp_path / "list.csv")
    (finding,) = source.load(DataSettings(image_size=8, group="patient")).findings
    assert finding.text == (
        "2 of the 6 test images are of groups that training images are of as well, which inflates "
        "the result"
    )
    assert not source.load(DataSettings(image_size=8)).findings
    given = source.load_splits(DataSettings(image_size=8, group="patient"))
    assert given.test is not None
    assert len(np.intersect1d(given.train.groups, given.test.groups)) == 2
    assert len(np.unique(given.test.groups)) == 4


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"group": "doctor"}, "group=doctor: no column of the list, and no path"),
        ({"group": "p("}, r"group=p\(: no regular expression"),
        ({"group": "patient", "validation_split": "last"}, "'last' does not keep groups together"),
    ],
)
def test_groups_that_cannot_be_are_one_line(
    tmp_path: Path, given: dict[str, str], reason: str
) -> None:
    with pytest.raises(EanetError, match=reason):
        open_source(write_list(tmp_path)).load(DataSettings(image_size=8, **given))
