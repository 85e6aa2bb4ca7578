"""Lists that lie in folders of images, as competitions and hubs have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.filelist import read_list
from eanet.data.folder import open_layout
from eanet.data.image_files import load_image_files
from eanet.errors import EanetError


def write(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines), "utf-8")
    return file


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root: Path) -> tuple[dict[str, dict[str, list[str]]], str]:
    with open_layout(root) as layout:
        found = {
            split: {
                name: [str(file.relative_to(root)) for file in files]
                for name, files in listing.images.items()
            }
            for split, listing in layout.splits.items()
        }
        return found, "\n".join(layout.notes)


def test_a_competition_lists_its_images_beside_their_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "test/1.jpg", "test/2.jpg")
    write(tmp_path / "labels.csv", "id,label", "1,cat", "2,dog")
    write(tmp_path / "sample_submission.csv", "id,cat,dog", "1,0.5,0.5")
    found, notes = read(tmp_path)
    assert found == {"train": {"cat": ["train/1.jpg"], "dog": ["train/2.jpg"]}}
    assert "lists without classes, left out: sample_submission.csv" in notes
    assert "no list says the classes of the images in test: left out" in notes
    assert f"paths in labels.csv are not as written: '1' is {tmp_path / 'train' / '1.jpg'}" in notes


def test_a_list_that_marks_classes_counts_where_no_other_has_any(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.jpg", "images/2.jpg")
    write(tmp_path / "truth.csv", "image,cat,dog", "1,1.0,0.0", "2,0.0,1.0")
    assert read(tmp_path)[0] == {"train": {"cat": ["images/1.jpg"], "dog": ["images/2.jpg"]}}
    write(tmp_path / "truth.csv", "image,cat,dog,of", "1,1,0,rex", "2,0,1,tom")
    with open_layout(tmp_path, DataSettings(group="of")) as layout:
        assert list(layout.splits["train"].images) == ["cat", "dog"]
        assert sorted(layout.splits["train"].groups.values()) == ["rex", "tom"]
    write(tmp_path / "labels.csv", "id,label", "1,tabby", "2,boxer")
    found, notes = read(tmp_path)
    assert found == {"train": {"tabby": ["images/1.jpg"], "boxer": ["images/2.jpg"]}}
    assert "lists without classes, left out: truth.csv" in notes


def test_a_list_that_marks_classes_counts_beside_one_of_test_images_with_labels(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    write(tmp_path / "train.csv", "image,cat,dog", "1,1,0", "2,0,1")
    write(tmp_path / "test.csv", "image,label", "3,cat")
    assert read(tmp_path)[0] == {
        "train": {"cat": ["images/1.jpg"], "dog": ["images/2.jpg"]},
        "test": {"cat": ["images/3.jpg"]},
    }
    # A sample of what to hand in says nothing of the test images, 1 or 0 though its cells are.
    write(tmp_path / "train.csv", "image,label", "1,cat", "2,dog")
    write(tmp_path / "test.csv", "image,cat,dog", "3,1,0")
    found, notes = read(tmp_path)
    assert found == {"train": {"cat": ["images/1.jpg"], "dog": ["images/2.jpg"]}}
    assert "lists without classes, left out: test.csv" in notes


def test_a_list_for_each_split_beside_the_folders(tmp_path: Path) -> None:
    touch(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    write(tmp_path / "train.csv", "image,class", "1.jpg,a", "2.jpg,b")
    write(tmp_path / "test_labels.csv", "image,class", "3.jpg,a")
    found, _ = read(tmp_path)
    assert found == {
        "train": {"a": ["images/1.jpg"], "b": ["images/2.jpg"]},
        "test": {"a": ["images/3.jpg"]},
    }
    write(tmp_path / "test_labels.csv", "image,class", "1.jpg,a")
    with pytest.raises(EanetError, match=r"1\.jpg among both the train and the test images"):
        read(tmp_path)


def test_a_list_in_each_split_folder(tmp_path: Path) -> None:
    for split, name in (("train", "1"), ("validation", "2")):
        touch(tmp_path, f"{split}/{name}.png", f"{split}/{name}b.png")
        rows = (f"{name}.png,a", f"{name}b.png,b")
        write(tmp_path / split / "metadata.csv", "file_name,label", *rows)
    found, _ = read(tmp_path)
    assert found == {
        "train": {"a": ["train/1.png"], "b": ["train/1b.png"]},
        "validation": {"a": ["validation/2.png"], "b": ["validation/2b.png"]},
    }


def test_one_list_beside_folders_of_splits_gives_each_file_the_split_it_lies_in(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "train/1.png", "train/2.png", "test/3.png")
    rows = ("train/1.png,a", "train/2.png,b", "test/3.png,b")
    write(tmp_path / "metadata.csv", "file_name,label", *rows)
    found, _ = read(tmp_path)
    assert found["test"] == {"b": ["test/3.png"]}
    assert found["train"] == {"a": ["train/1.png"], "b": ["train/2.png"]}


def test_class_folders_to_train_on_and_a_list_to_test_on(tmp_path: Path) -> None:
    touch(tmp_path, "Train/0/1.png", "Train/1/2.png", "Test/3.png", "Meta/0.png")
    write(tmp_path / "Test.csv", "Width,ClassId,Path", "5,1,Test/3.png")
    found, notes = read(tmp_path)
    assert found["test"] == {"1": ["Test/3.png"]}
    assert found["train"] == {"0": ["Train/0/1.png"], "1": ["Train/1/2.png"]}
    assert "ignored next to the split folders: Meta" in notes


def test_tiny_imagenet_has_its_own_list(tmp_path: Path) -> None:
    touch(tmp_path, "train/n01/images/1.JPEG", "train/n02/images/2.JPEG", "test/images/4.JPEG")
    touch(tmp_path, "val/images/v3.JPEG", "val/images/v4.JPEG")
    write(
        tmp_path / "val" / "val_annotations.txt",
        "v3.JPEG\tn02\t0\t32\t44\t62",
        "v4.JPEG\tn01\t0\t1\t2\t3",
        "",
    )
    found, notes = read(tmp_path)
    assert found["validation"] == {"n01": ["val/images/v4.JPEG"], "n02": ["val/images/v3.JPEG"]}
    assert found["train"] == {
        "n01": ["train/n01/images/1.JPEG"],
        "n02": ["train/n02/images/2.JPEG"],
    }
    assert "test has no class folders" in notes


def test_class_folders_go_before_lists_that_lie_beside_them(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    write(tmp_path / "labels.csv", "path,label", "a/1.jpg,b")
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    assert read(tmp_path)[0] == {"train": {"a": ["a/1.jpg"], "b": ["b/2.jpg"]}}


def test_a_list_is_opened_to_see_whether_it_has_classes_and_to_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "1.jpg")
    file, opened, open_it = write(tmp_path / "list.csv", "path,label", "1.jpg,x"), [], Path.open

    def count(path: Path, *args: Any, **kwargs: Any) -> Any:
        opened.append(path)
        return open_it(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", count)
    read(tmp_path)
    assert opened == [file, file]


def test_of_a_list_without_classes_only_the_header_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    write(tmp_path / "list.csv", "path,label", "1.jpg,x")
    write(tmp_path / "masks.csv", "img,encoded,height", f"1.jpg,{'1 ' * 100_000},9")  # csv's limit
    found, notes = read(tmp_path)
    assert found == {"train": {"x": ["1.jpg"]}}
    assert notes == "lists without classes, left out: masks.csv"


def test_two_lists_of_the_same_split_are_one_too_many(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "path,label", "1.jpg,x")
    with pytest.raises(EanetError, match=r"a\.csv and b\.csv in .* both list images: name the one"):
        read(tmp_path)
    other = tmp_path / "other"
    write(other / "labels.csv", "path,label", "1.jpg,x")
    write(other / "train.csv", "path,label", "2.jpg,x")
    several = r"labels\.csv and train\.csv in .* both list train images"
    with pytest.raises(EanetError, match=several):
        read(other)


@pytest.mark.parametrize(
    "written",
    [r"a\1.jpg", "/kaggle/input/pets/a/1.jpg", r"C:\Users\me\pets\a\1.jpg", "pets/a/1.jpg"],
)
def test_paths_of_another_machine_are_found_here(tmp_path: Path, written: str) -> None:
    touch(tmp_path, "a/1.jpg")
    layout = read_list(write(tmp_path / "list.csv", "path,label", f"{written},x"))
    assert layout.splits["train"].images == {"x": [tmp_path / "a" / "1.jpg"]}


@pytest.mark.parametrize(
    ("folders", "ending"),
    [(("part_1", "part_2", "part_2"), ""), (("images/a", "images/b/deep", "."), ".jpg")],
)
def test_a_list_names_images_in_several_folders_below_it(
    tmp_path: Path, folders: tuple[str, ...], ending: str
) -> None:
    files = [tmp_path / folder / f"{name}.jpg" for name, folder in zip("pqr", folders, strict=True)]
    touch(tmp_path, *(str(file) for file in files), "part_1/p.txt")
    (tmp_path / "part_1" / "loop").symlink_to(tmp_path)
    rows = (
        "image_id,label",
        f"x/p{ending},x",
        f"x/q{ending},x",
        f"x/r{ending},y",
        f"x/gone{ending},y",
    )
    layout = read_list(write(tmp_path / "list.csv", *rows))
    gone = tmp_path / "x" / f"gone{ending}"
    assert layout.splits["train"].images == {"x": files[:2], "y": [files[2], gone]}
    assert layout.notes == (f"paths in list.csv are not as written: 'x/p{ending}' is {files[0]}",)


def test_a_name_in_two_folders_is_taken_only_if_the_files_are_the_same(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.jpg", "a/1.jpg", "a/2.jpg")
    file = write(tmp_path / "list.csv", "path,label", "1.jpg,x", "2.jpg,y")
    assert read_list(file).splits["train"].images["x"] == [tmp_path / "a" / "1.jpg"]
    write(tmp_path / "b" / "1.jpg", "other")
    message = r"list\.csv: '1\.jpg' may be a/1\.jpg or b/1\.jpg, which differ: write the folder"
    with pytest.raises(EanetError, match=message):
        read_list(file)
    touch(tmp_path, "b/3.jpg")
    for start in ("", "/there/pets/"):
        write(file, "path,label", *(f"{start}b/{number}.jpg,x" for number in (1, 2, 3)))
        found = read_list(file).splits["train"].images["x"]
        assert [path.is_file() for path in found] == [True, False, True]  # not a/2.jpg
        assert found[0] == tmp_path / "b" / "1.jpg"


def test_images_of_the_split_go_before_others_of_the_same_name(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "test" / f"{number}.jpg", "test")
    touch(tmp_path, *(f"train/images/{number}.jpg" for number in range(3)))
    write(tmp_path / "train.csv", "id,label", "0,x", "1,x", "2,x", "3,y")
    train = read(tmp_path)[0]["train"]
    assert train["x"] == [f"train/images/{number}.jpg" for number in range(3)]
    assert train["y"] == ["3"]  # missing, not that of the test


def test_a_list_of_another_machine_gives_each_file_the_split_it_lies_in(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "train/2.png", "train/3.png", "test/1.png")
    names = ("train/1.png", "train/2.png", "train/3.png", "test/1.png")
    write(tmp_path / "all.csv", "path,label", *(f"/kaggle/input/{name},x" for name in names))
    assert read(tmp_path)[0] == {"train": {"x": list(names[:3])}, "test": {"x": [names[3]]}}


def test_a_missing_file_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "old/b.jpg")
    layout = read_list(write(tmp_path / "list.csv", "path,label", "a.jpg,x", "b.jpg,y"))
    assert layout.splits["train"].images["y"] == [tmp_path / "b.jpg"]


def test_a_file_listed_twice_is_used_once_and_a_list_read_twice_is_told(tmp_path: Path) -> None:
    rows = ("path,label", "1.jpg,x", "2.jpg,y")
    layout = read_list(write(tmp_path / "list.csv", *rows, *rows))
    assert layout.splits["train"].images == {
        "x": [tmp_path / "1.jpg"],
        "y": [tmp_path / "2.jpg"],
    }
    assert layout.notes == (
        "list.csv has its header again in line 4, as if it were several lists in one",
        "list.csv lists 2 files more than once, used once: 1.jpg again in line 5",
    )
    file = write(tmp_path / "two.csv", "path,label,split", "1.jpg,x,train", "1.jpg,x,test")
    with pytest.raises(EanetError, match=r"1\.jpg is 'train' in line 2 and 'test' in line 3; keep"):
        read_list(file)


def test_whole_numbers_as_pandas_writes_them_are_whole(tmp_path: Path) -> None:
    layout = read_list(write(tmp_path / "a.csv", "path,label", "1.jpg,1", "2.jpg,1.0", "3.jpg,2.0"))
    assert {name: len(files) for name, files in layout.splits["train"].images.items()} == {
        "1": 2,
        "2": 1,
    }
    assert layout.notes == ("classes in a.csv are whole numbers: 1.0 is read as 1",)
    layout = read_list(write(tmp_path / "b.csv", "path,label", "1.jpg,1.0", "2.jpg,1.5"))
    assert list(layout.splits["train"].images) == ["1.0", "1.5"]


def test_a_list_that_says_more_than_the_folders_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "part_1/1.jpg", "part_2/2.jpg")

    def findings() -> list[str]:
        with open_layout(tmp_path) as layout:
            assert list(layout.splits["train"].images) == ["part_1", "part_2"]
            return [str(finding) for finding in layout.findings]

    file = write(tmp_path / "list.csv", "id,label", "1,Part_1", "2,part_2")
    assert findings() == []  # the same classes
    write(file, "epoch,loss", "1,0.5")
    assert findings() == []  # no list of images
    write(file, "id,label", "1,cat", "2,dog")
    assert findings() == [
        "the folders are read as classes, not the list list.csv with other classes (cat, dog): "
        f"to read the list, name it: {file}"
    ]
    for header in ("image_id,dx,age", "Dateiname;Klasse;Alter"):
        write(file, header, header.replace("Dateiname", "1.jpg"))
        (finding,) = findings()
        assert "not the list list.csv, which has no columns path and label" in finding
    write(file, "path,Class", "part_1/1.jpg,")
    assert "which has no class in its column Class: if it is to have the classes" in findings()[0]
    file.write_bytes("id,label\n1,Größe".encode("cp1252"))
    write(tmp_path / "val_annotations.txt")  # empty
    assert findings() == []


def test_the_error_of_a_single_class_names_the_list_that_was_not_read(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8)).save(touch(tmp_path, "img/x") / "img" / f"{number}.png")
    write(tmp_path / "truth.csv", "image,age,size", "0,31,1.7", "1,42,0.2", "2,8,1.0")
    message = r"needs two; .*not the list truth\.csv, which has no"
    with open_layout(tmp_path) as layout, pytest.raises(EanetError, match=message):
        load_image_files(layout, DataSettings())
