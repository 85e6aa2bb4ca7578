"""The names of classes: their forms, their order, and readable ones for numbers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from eanet.config import DataSettings
from eanet.data.class_names import in_order, settle_names
from eanet.data.folder import open_layout
from eanet.data.image_files import load_image_files
from eanet.data.layout import Layout, Listing
from eanet.data.names_file import read_names
from eanet.errors import EanetError
from tests.data.test_split_folders import fill, read


def test_numbers_are_in_the_order_of_their_values_and_names_in_that_of_their_letters() -> None:
    assert in_order(["180", "0", "45", "270", "90"]) == ["0", "45", "90", "180", "270"]
    assert in_order(["-1", "0.5", "10", "2"]) == ["-1", "0.5", "2", "10"]
    assert in_order(["class_10", "class_2", "b"]) == ["b", "class_10", "class_2"]


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    fill(tmp_path, f"train/{composed}", "train/tea", f"test/{decomposed}", "test/tea")
    assert read(tmp_path)[0] == {"train": {composed: 2, "tea": 2}, "test": {composed: 2, "tea": 2}}
    fill(tmp_path, f"train/{decomposed}")
    found, notes = read(tmp_path)
    assert found["train"] == {composed: 4, "tea": 2}
    assert notes == f"'{composed}' is written in two Unicode forms: read as one class"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Cat", "cat", True),
        ("hot dog", "hot_dog", True),
        ("hot-dog", "hotdog ", True),
        ("01", "1.0", True),
        ("4006381333931", "4006381333931.0", True),
        ("4006381333931", "4006381399999", False),
        ("20230101", "20230102", False),
        ("1" * 5000 + "1", "1" * 5000 + "2", False),
        ("-1", "1", False),
        ("A+", "A", False),
        ("A-", "A", False),
        ("C#", "C++", False),
        ("कु", "का", False),
        ("कु", "क", False),
    ],
)
def test_names_are_one_if_they_differ_in_spelling_alone(one: str, other: str, alike: bool) -> None:
    def listing(name: str) -> Listing:
        return Listing(Path(), {name: [Path("x.png")]}, [])

    layout = Layout(Path(), {"train": listing(one), "test": listing(other)}, ())
    settled = settle_names(layout, None)
    assert list(settled.splits["test"].images) == [one if alike else other]
    both = Layout(Path(), {"train": Listing(Path(), {one: [], other: []}, [])}, ())
    assert len(settle_names(both, None).findings) == alike


def test_case_and_spaces_that_differ_between_splits_are_the_same_class(tmp_path: Path) -> None:
    fill(tmp_path, "train/Cat", "train/hot dog", "test/cat", "test/hot_dog")
    found, notes = read(tmp_path)
    assert found["test"] == {"Cat": 2, "hot dog": 2}
    assert "'cat' among the test images is read as 'Cat'" in notes


@pytest.mark.parametrize("names", [("Cat", "cat"), ("cat", "cat "), ("1", "01")])
def test_classes_that_nearly_have_one_name_are_suspected(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, *names)
    found, notes = read(tmp_path)
    assert set(found["train"]) == set(names)
    assert "differ in case, spaces or zeros alone: if they are one, give both one name" in notes


def test_a_class_that_a_model_does_not_know_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "Ant", "owl")
    with (
        open_layout(tmp_path, known=("ant", "bee")) as layout,
        pytest.raises(EanetError, match=r"not know the class 'owl' in .*; it knows 'ant', 'bee'$"),
    ):
        load_image_files(layout, DataSettings(), known=("ant", "bee"))
    (tmp_path / "ant").mkdir()
    fill(tmp_path / "one", "ant/morning")
    with open_layout(tmp_path / "one", known=("ant", "bee")) as layout:
        assert list(layout.splits["train"].images) == ["ant"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.txt", "n01440764\ttench, Tinca tinca\nn01443537\tgoldfish\n"),
        ("synset_words.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius\n"),
        ("names.csv", 'id,name\nn01440764,tench\nn01443537,"goldfish, a fish"\n'),
        ("names.json", '{"n01440764": "tench", "n01443537": "goldfish"}'),
    ],
)
def test_codes_get_readable_names(tmp_path: Path, name: str, text: str) -> None:
    fill(tmp_path / "data", "n01440764", "n01443537")
    (tmp_path / name).write_text(text)
    found, _ = read(tmp_path / "data", names=str(tmp_path / name))
    assert found == {"train": {"goldfish": 2, "tench": 2}}


def test_a_file_of_names_beside_numbers_is_offered_and_not_used(tmp_path: Path) -> None:
    fill(tmp_path, "0", "1", "2")
    (tmp_path / "classes.txt").write_text("fire lily\nrose\npink primrose\n")
    found, notes = read(tmp_path)
    assert list(found["train"]) == ["0", "1", "2"]
    assert f"--names {tmp_path / 'classes.txt'} gives them their names" in notes


def test_names_that_are_numbered_by_their_lines_or_twice_the_same(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("rose\ncrane, bird\ncrane, bird\n")
    assert read_names(file, ["01", "02", "03"]) == {
        "01": "rose",
        "02": "crane, bird (02)",
        "03": "crane, bird (03)",
    }
    file.write_text("rose\n")
    with pytest.raises(EanetError, match=r"classes\.txt has no name for the class '1'"):
        read_names(file, ["0", "1"])
    with pytest.raises(EanetError, match=r"cannot read .*gone"):
        read_names(tmp_path / "gone.txt", ["0"])
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(EanetError, match=r"bad\.json is not JSON"):
        read_names(tmp_path / "bad.json", ["0"])
