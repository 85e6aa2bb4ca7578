"""How folders are read: as splits, as classes, and what is said where they could be either."""

from __future__ import annotations

from pathlib import Path

import pytest

from eanet.config import DataSettings
from eanet.data.folder import open_layout
from eanet.data.split_names import split_meant
from eanet.errors import EanetError

Found = dict[str, dict[str, int]]


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def fill(root: Path, *folders: str) -> Path:
    return make(root, *(f"{folder}/{n}.jpg" for folder in folders for n in range(2)))


def read(root: Path, **settings: object) -> tuple[Found, str]:
    """The number of images by split and class; the notes and findings."""
    with open_layout(root, DataSettings.parse(settings)) as layout:
        found = {
            split: {name: len(files) for name, files in listing.images.items()}
            for split, listing in layout.splits.items()
        }
        return found, "\n".join((*layout.notes, *map(str, layout.findings)))


TWO = {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training_set", "train"),
        ("seg_test", "test"),
        ("Dev", "validation"),
        ("eval", "test"),
        ("TrainSet", "train"),
        ("val2017", "validation"),
        ("my-test images", "test"),
        ("TESTING", "test"),
        ("validset", "validation"),
        ("trains", None),
        ("contest", None),
        ("train_val", None),
        ("strain", None),
        ("訓練", None),
    ],
)
def test_a_word_at_separators_digits_or_capitals_means_a_split(
    name: str, split: str | None
) -> None:
    assert split_meant(name) == split


@pytest.mark.parametrize(
    ("train", "held_out", "split"),
    [
        ("training_set", "test_set", "test"),
        ("seg_train", "seg_test", "test"),
        ("train", "dev", "validation"),
        ("images/train", "images/val", "validation"),
        ("wrap/pets/Train", "wrap/pets/Test", "test"),
        ("train2017", "val2017", "validation"),
        ("asl_alphabet_train", "asl_alphabet_test", "test"),
        ("train", "eval", "test"),
        ("seg_train/seg_train", "seg_test/seg_test", "test"),
        ("train/images", "test/images", "test"),
    ],
)
def test_splits_are_found_by_their_words(
    tmp_path: Path, train: str, held_out: str, split: str
) -> None:
    fill(tmp_path, *(f"{folder}/{name}" for folder in (train, held_out) for name in "ab"))
    found, notes = read(tmp_path)
    assert found == {"train": TWO, split: TWO}
    plain = {"train", "test", "val", "Train", "Test"}
    first, second = (Path(name.split("/images")[0]).name for name in (train, held_out))
    assert ("read as splits" in notes) == (not {first, second} <= plain)


def test_all_three_and_eval_beside_test_is_for_validation(tmp_path: Path) -> None:
    fill(tmp_path / "one", *(f"{folder}/{n}" for folder in ("train", "dev", "eval") for n in "ab"))
    assert list(read(tmp_path / "one")[0]) == ["train", "validation", "test"]
    fill(tmp_path / "two", *(f"{folder}/{n}" for folder in ("train", "eval", "test") for n in "ab"))
    found, notes = read(tmp_path / "two")
    assert list(found) == ["train", "validation", "test"]
    assert "eval is validation" in notes


def test_a_vehicle_called_train_is_a_class_even_if_it_holds_folders(tmp_path: Path) -> None:
    fill(tmp_path, "bus/cam1", "car/cam1", "train/cam1", "train/cam2")
    found, notes = read(tmp_path)
    assert found == {"train": {"bus": 2, "car": 2, "train": 4}}
    assert "read as classes (bus, car, train): --layout splits" in notes
    assert read(tmp_path, layout="splits")[0] == {"train": {"cam1": 2, "cam2": 2}}


@pytest.mark.parametrize("names", [("test_tube", "train_station"), ("train", "bus", "test")])
def test_classes_that_only_sound_like_splits_are_classes(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, "bus", *names)
    assert read(tmp_path)[0] == {"train": dict.fromkeys(sorted({"bus", *names}), 2)}


def test_classes_that_sound_like_splits_alone_lead_to_the_option(tmp_path: Path) -> None:
    fill(tmp_path, "train_station", "test_tube")
    with pytest.raises(EanetError, match=r"train_station is read as a split: .*--layout classes"):
        read(tmp_path)
    found, _ = read(tmp_path, layout="classes")
    assert found["train"].keys() == {"train_station", "test_tube"}


def test_every_folder_is_a_class_if_one_says_so(tmp_path: Path) -> None:
    fill(tmp_path, "train/a", "train/b", "test/a", "test/b")
    assert read(tmp_path, layout="classes")[0] == {"train": {"test": 4, "train": 4}}


def test_of_two_that_could_be_for_training_the_plain_name_is_taken(tmp_path: Path) -> None:
    fill(tmp_path, "train/a", "train/b", "train_masks/x", "test/a", "test/b")
    found, notes = read(tmp_path)
    assert found == {"train": TWO, "test": TWO}
    assert "ignored next to the split folders: train_masks" in notes
    fill(tmp_path, "training/a")
    with pytest.raises(EanetError, match="both train images: keep one"):
        read(tmp_path)


def test_a_test_of_another_kind_beside_the_usual_one_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "Training/a", "Training/b", "Test/a", "test-multiple_fruits", "papers")
    found, notes = read(tmp_path)
    assert found == {"train": TWO, "test": {"a": 2}}
    assert "ignored next to the split folders: papers, test-multiple_fruits" in notes


def test_without_train_a_test_beside_others_is_a_class_aloud(tmp_path: Path) -> None:
    fill(tmp_path, "dev/x", "prod/x")
    found, notes = read(tmp_path)
    assert found == {"train": {"dev": 2, "prod": 2}}
    assert "the folders are read as classes (dev, prod): --layout splits if they are not" in notes


@pytest.mark.parametrize("place", ["test", "test/unknown", "test/images", "test/test"])
def test_unlabelled_images_to_test_are_left_out_aloud(tmp_path: Path, place: str) -> None:
    fill(tmp_path, "train/a", "train/b", place)
    found, notes = read(tmp_path)
    assert found == {"train": TWO}
    assert "test has no class folders: its 2 images are left out; `eanet predict`" in notes


def test_a_folder_that_only_holds_labels_of_boxes_is_passed_by(tmp_path: Path) -> None:
    fill(tmp_path, "images/train/a", "images/train/b", "images/val/a")
    make(tmp_path, "labels/train/0.txt", "README.md")
    assert read(tmp_path)[0] == {"train": TWO, "validation": {"a": 2}}


def test_splits_within_class_folders_are_splits(tmp_path: Path) -> None:
    fill(tmp_path, "a/train", "a/test", "b/train", "b/test")
    found, notes = read(tmp_path)
    assert found == {"train": TWO, "test": TWO}
    assert "every class folder holds folders of splits" in notes


def test_classes_that_all_hold_the_same_folders_are_suspected(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{site}/{name}" for site in ("north", "south") for name in "ab"))
    found, notes = read(tmp_path)
    assert found == {"train": {"north": 4, "south": 4}}
    assert "every class folder (north, south) holds the folders a, b: if these are the " in notes
    assert read(tmp_path, layout="parents") == ({"train": {"a": 4, "b": 4}}, "")
    fill(tmp_path / "south", "c")
    assert "if these are the classes" in read(tmp_path)[1]


def test_a_copy_of_the_classes_within_them_is_suspected(tmp_path: Path) -> None:
    fill(tmp_path, "cells", "clear", "both/cells", "both/clear")
    assert (
        "the class folder both holds folders of the names of other classes (cells, clear)"
        in (read(tmp_path)[1])
    )


def test_within_splits_a_class_may_be_where_an_image_lies(tmp_path: Path) -> None:
    fill(tmp_path, "train/x/a", "train/y/b", "test/x/a", "test/x/b")
    found, _ = read(tmp_path, layout="parents")
    assert found == {"train": TWO, "test": TWO}


def test_classes_may_be_in_the_names_of_the_images(tmp_path: Path) -> None:
    make(tmp_path, "train/cat.0.jpg", "train/cat.1.jpg", "train/sub/great_dane_12.JPG")
    make(tmp_path, "train/great_dane (3).jpg", "train/7.jpg", "train/notes.txt")
    make(tmp_path, "test1/1.jpg", "sample.csv")
    found, notes = read(tmp_path, layout="filenames")
    assert found == {"train": {"cat": 2, "great_dane": 2}}
    assert notes.endswith("the images in test1 have no classes in their names: left out")
    with pytest.raises(
        EanetError, match=r"no image in .* has a class in its name, such as cat\.7.*--layout auto"
    ):
        read(tmp_path / "test1", layout="filenames")


def test_flat_splits_stay_apart_beside_other_folders(tmp_path: Path) -> None:
    for place in ("train", "test", "masks"):
        make(tmp_path, f"{place}/cat.1.jpg", f"{place}/dog.1.jpg")
    found, notes = read(tmp_path, layout="filenames")
    assert found == {"train": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 1}}
    assert "ignored next to the split folders: masks" in notes


def test_a_flat_train_among_classes_is_doubted_if_its_images_are_named_by_several(
    tmp_path: Path,
) -> None:
    make(tmp_path, *(f"train/{name}.{i}.jpg" for name in ("cat", "dog") for i in range(2)))
    fill(tmp_path, "extra")
    found, notes = read(tmp_path)
    assert found == {"train": {"train": 4, "extra": 2}}
    assert notes == (
        "the folder train is read as a class, but its images have names as of several (cat 2, dog "
        "2): if these are the classes, use --layout filenames"
    )
    fill(tmp_path / "vehicles", "train", "plane")
    assert read(tmp_path / "vehicles") == ({"train": {"plane": 2, "train": 2}}, "")


def test_a_flat_folder_is_refused_with_the_layout_that_reads_it(tmp_path: Path) -> None:
    make(tmp_path, *(f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(3)))
    with pytest.raises(EanetError, match=r"images \(cat 3, dog 3\), use --layout filenames$"):
        read(tmp_path)
    make(tmp_path / "other", *(f"{number}.jpg" for number in range(3)), "cat.1.jpg")
    with pytest.raises(EanetError, match=r"with the columns path and label$"):
        read(tmp_path / "other")


def test_a_sample_submission_hides_no_classes_in_names(tmp_path: Path) -> None:
    make(tmp_path, *(f"train/{name}.{i}.jpg" for name in ("cat", "dog") for i in range(3)))
    make(tmp_path, "test1/1.jpg", "test1/2.jpg")
    (tmp_path / "sampleSubmission.csv").write_text("id,label\n1,0\n2,0\n")
    with pytest.raises(EanetError, match=r"no training images; .* use --layout filenames$"):
        read(tmp_path)


def test_it_is_read_alike_in_whatever_order_a_disk_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "train/b", "train/a", "test/a", "test/b", "extra/x")
    first = read(tmp_path)
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(list(real(self))))
    assert read(tmp_path) == first
