from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from eanet.data.filelist import read_list
from eanet.data.list_rows import is_list
from eanet.errors import EanetError


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


def images(file: Path) -> dict[str, dict[str, list[Path]]]:
    return {split: listing.images for split, listing in read_list(file).splits.items()}


def test_relative_paths_start_from_the_list(write, tmp_path):
    file = write("path,label\nb/1.jpg,dog\n\n/else/2.jpg,cat\n../3.jpg,dog\n")
    layout = read_list(file)
    assert list(layout.splits) == ["train"]
    assert layout.splits["train"].images == {
        "cat": [Path("/else/2.jpg")],
        "dog": [tmp_path / "b" / "1.jpg", tmp_path.parent / "3.jpg"],
    }
    assert layout.splits["train"].place == file
    assert layout.root == tmp_path


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("path,label", "list.csv"),
        ("Image,Class", "list.csv"),
        ("file_name,target", "list.csv"),
        ("Image Path;Label", "list.csv"),
        ("filename\tclass", "list.tsv"),
        ("\ufefffile,label", "list.CSV"),  # as Excel writes it
    ],
)
def test_columns_go_by_the_names_that_people_give_them(write, tmp_path, head, name):
    separator = next(mark for mark in ",;\t" if mark in head)
    file = write(f'{head}\r\n"a, b.jpg"{separator} cat \r\n'.replace("\t", separator), name)
    assert images(file) == {"train": {"cat": [tmp_path / "a, b.jpg"]}}


def test_dots_lead_out_of_the_folder_itself_and_not_of_a_link_to_it(write, tmp_path):
    (tmp_path / "project" / "lists").mkdir(parents=True)
    (tmp_path / "project" / "img").mkdir()
    write("path,label\n../img/1.jpg,cat\n../img/../img/2.jpg,cat\n", "project/lists/t.csv")
    (tmp_path / "link").symlink_to(tmp_path / "project" / "lists")
    found = images(tmp_path / "link" / "t.csv")["train"]["cat"]
    assert found == [tmp_path / "project" / "img" / name for name in ("1.jpg", "2.jpg")]


def test_other_columns_are_left_alone_and_path_goes_before_image(write, tmp_path):
    file = write("id,image,label,path,note\n1,x,cat,y.jpg\n")
    assert images(file) == {"train": {"cat": [tmp_path / "y.jpg"]}}


def test_splits_go_by_the_names_that_folders_may_have(write, tmp_path):
    rows = [("a", "train"), ("b", "Valid"), ("c", "val"), ("d", "test"), ("e", "TRAINING")]
    lines = [f"{path},x,{split}" for path, split in rows]
    file = write("\n".join(["path,label,split", *lines]))
    assert {split: [path.name for path in found["x"]] for split, found in images(file).items()} == {
        "train": ["a", "e"],
        "validation": ["b", "c"],
        "test": ["d"],
    }


@pytest.mark.parametrize(
    ("column", "cells"),
    [("is_valid", ("False", "True")), ("is valid", ("0", "1")), ("subset", ("training", "val"))],
)
def test_splits_in_a_column_of_another_name_are_taken_and_that_is_said(write, column, cells):
    file = write(f"path,label,{column}\na.jpg,x,{cells[0]}\nb.jpg,x,{cells[1]}\n")
    layout = read_list(file)
    assert {split: len(listing.images["x"]) for split, listing in layout.splits.items()} == {
        "train": 1,
        "validation": 1,
    }
    assert layout.notes == (f"splits in list.csv are in its column {column}",)


def test_a_column_called_split_goes_before_others_that_sound_like_it(write):
    file = write("path,set,label,split\na.jpg,test,x,train\nb.jpg,train,x,test\n")
    found = {split: [path.name for path in of["x"]] for split, of in images(file).items()}
    assert found == {"train": ["a.jpg"], "test": ["b.jpg"]}


@pytest.mark.parametrize(
    "text",
    [
        "path,label,set\na.jpg,x,train\nb.jpg,x,castle",
        "path,label,set\na.jpg,x,",
        "path,label,set\na.jpg,x,test\nb.jpg,x,test",
        "path,label,split,set\na.jpg,x,train,test\nb.jpg,x,train,train",
        "path,set\na.jpg,x",
    ],
)
def test_a_column_that_only_sounds_like_splits_is_none(write, text):
    assert list(read_list(write(text)).splits) == ["train"]


def test_another_column_that_could_have_the_classes_is_said(write):
    file = write("image,Class,label\na.jpg,benign,3")
    assert list(images(file)["train"]) == ["3"]
    assert read_list(file).notes == (
        "classes in list.csv are read from its column label; if they are in Class, rename label",
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("id,breed\na.jpg,tabby", "breed"),
        ("Species,file,split\ntabby,a.jpg,train", "Species"),
        (",path,breed\n0,a.jpg,tabby", "breed"),  # as pandas writes its index
        ("cage,path,breed\n7,a.jpg,tabby", "breed"),
    ],
)
def test_the_only_other_column_has_the_classes_and_that_is_said(write, text, name):
    layout = read_list(write(text), "cage")
    assert list(layout.splits["train"].images) == ["tabby"]
    assert layout.notes == (f"classes in list.csv are in its only other column, {name}",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.jpg,tabby\n\nb c.PNG,siamese\n", "list.csv"),
        ("a.jpg\ttabby\nb c.PNG\tsiamese", "list.tsv"),
        ("\ufeffa.jpg tabby\n\n  b c.PNG \t siamese \r\n", "list.txt"),
    ],
)
def test_a_list_of_images_and_their_classes_needs_no_header(write, tmp_path, text, name):
    file = write(text, name)
    assert is_list(file)
    assert images(file)["train"] == {
        "siamese": [tmp_path / "b c.PNG"],
        "tabby": [tmp_path / "a.jpg"],
    }
    said = f"{name} has no header: an image and its class are read from each line"
    assert read_list(file).notes == ((said,) if name != "list.txt" else ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Read me first",
        "a.jpg",
        "a.jpg b.jpg",
        "a.jpg 0 1",
        "0 0.5 0.5",
        "a.jpg\tx\t0",
        "\xff x",
    ],
)
def test_text_that_does_not_begin_with_an_image_and_its_class_is_no_list(write, text):
    assert not is_list(write(text, "list.txt", "latin-1"))


def test_a_line_of_text_without_a_class_is_an_error_that_says_where(write):
    with pytest.raises(EanetError, match=r"list\.txt, line 3: no label"):
        read_list(write("a.jpg x\n\nb.jpg\n", "list.txt"))


def test_a_column_that_may_have_the_splits_is_no_other_column(write):
    file = write("path,breed,is_valid\na.jpg,tabby,False\nb.jpg,tabby,True\n")
    assert {split: list(classes) for split, classes in images(file).items()} == {
        "train": ["tabby"],
        "validation": ["tabby"],
    }
    file = write("path,set\na.jpg,train\nb.jpg,test")
    assert list(images(file)["train"]) == ["train", "test"]


def test_columns_of_ones_and_zeros_are_classes_and_that_is_said(write, tmp_path):
    file = write("split,image,MEL,NV\ntrain,a.jpg,0.0,1.0\ntest,b.jpg,1,0\n")
    assert images(file) == {
        "train": {"NV": [tmp_path / "a.jpg"]},
        "test": {"MEL": [tmp_path / "b.jpg"]},
    }
    (note,) = read_list(file).notes
    assert note == "classes in list.csv are its columns, an image's the one with a 1: MEL, NV"
    lines = '{"path": "a.jpg", "x": true, "y": false}\n{"path": "b.jpg", "x": false, "y": true}'
    assert list(images(write(lines, "list.jsonl"))["train"]) == ["x", "y"]


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "__index_level_0__"])
def test_columns_of_classes_beside_numbers_of_rows_have_spaces(write, tmp_path, index):
    file = write(f"{index},path, cat, dog\n0,a.jpg, 1, 0\n1,b.jpg, 0, 1\n2,c.jpg, 0, 1")
    a, b, c = (tmp_path / f"{name}.jpg" for name in "abc")
    assert images(file)["train"] == {"cat": [a], "dog": [b, c]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'path'; its first line is ''"),
        ("a.jpg,1,b", "has no column 'path'; its first line is 'a.jpg,1,b', which should name"),
        ("a.jpg,a.png\nb.jpg,b.png", "has no column 'path'; its first line is 'a.jpg,a.png', "),
        ("path,size,date\na.jpg,3,4", "has no column 'label'"),
        ("path,x,y\na.jpg,0.5,0.5", "has no column 'label'"),
        (",path\n0,a.jpg", "has no column 'label'"),
        ("path,x,y\na.jpg,1,0\nb.jpg,1,", "line 3: '' in column y is neither 1 nor 0, which say"),
        ("path,x,y\na.jpg,1,0\nb.jpg,1,1", "line 3: the image is of x, y; it has one class here$"),
        ("path,x,y\na.jpg,0,0", "line 2: the image is of none of x, y; it has one class here$"),
        ("path,label\na.jpg", "line 2: no label$"),
        ("path,label\n\n ,cat", "line 3: no path$"),
        ("path,label\na.jpg,", "line 2: no label$"),
        ("path,label\na\0.jpg,cat", r"line 2: 'a\x00.jpg' is not a path"),
        ("path,label,split\na.jpg,cat,tset", "line 2: unknown split 'tset'; did you mean 'test'?"),
        ("path,label,split\na.jpg,cat,test", "lists no training images"),
        ("path,label", "lists no training images"),
        (
            "path,label\na.jpg,cat\nb.jpg,cat\n./a.jpg,dog",
            "a.jpg is 'cat' in line 2 and 'dog' in line 4; keep one",
        ),
    ],
)
def test_each_mistake_in_a_list_is_one_line_that_says_where(write, text, message):
    file = write(text)
    with pytest.raises(EanetError) as caught:
        read_list(file)
    error = str(caught.value)
    assert error.startswith(str(file))
    assert message.rstrip("$") in error
    assert not message.endswith("$") or error.endswith(message[:-1])
    assert "\n" not in error


def test_what_is_no_text_or_cannot_be_read_is_one_line(write, tmp_path):
    with pytest.raises(EanetError, match=r"list\.csv is not a CSV file in UTF-8, save it so: "):
        read_list(write("path,label\né.jpg,x", encoding="utf-16"))
    with pytest.raises(EanetError, match=r"cannot read .*gone\.csv \(No such file"):
        read_list(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "path,label,set\na.jpg,x,train"),
        ("list.jsonl", '{"path": "a.jpg", "breed": "x"}'),
        ("val_annotations.txt", "a.jpg\tx\t0"),
    ],
)
def test_a_list_is_opened_once(write, monkeypatch, name, text):
    file, opened, open_it = write(text, name), [], Path.open

    def count(path, *args, **kwargs):
        opened.append(path)
        return open_it(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", count)
    assert list(images(file)["train"]) == ["x"]
    assert opened == [file]


def test_json_lines_read_like_a_csv_list(write, tmp_path):
    lines = ['{"label": 1, "file_name": "a.jpg"}', "", '{"file_name": "b.jpg", "label": 2.0}']
    assert images(write("\n".join(lines), "metadata.jsonl")) == {
        "train": {"1": [tmp_path / "a.jpg"], "2": [tmp_path / "b.jpg"]}
    }
    for text, message in [
        ('{"path": "a.jpg"}', "has no column 'label'"),
        ('{"path": "a.jpg", "label": null}', "line 1: no label"),
        ('{"path": "a.jpg", "label": 1}\n[1]', r"line 2: \[1\] names no columns"),
        ("[" * 100_000, "line 1: not JSON"),
        ("{}", "has no column 'path'; its first line is ''"),
        ("\n", "lists no training images"),
    ]:
        with pytest.raises(EanetError, match=message):
            read_list(write(text, "metadata.jsonl"))


@pytest.mark.parametrize(("name", "value"), [("Split", "test"), ("patient", "7")])
def test_a_column_of_json_lines_is_not_overlooked_where_the_first_line_lacks_it(name, value, write):
    text = '{"path": "a.jpg", "label": "x"}\n{"path": "b.jpg", "label": "y", "%s": "%s"}'
    message = f"line 2: '{name}' is not in the first line"
    with pytest.raises(EanetError, match=message):
        read_list(write(text % (name, value), "metadata.jsonl"), "patient")


def fake_pyarrow(monkeypatch, columns: dict[str, list[object]]) -> None:
    class ArrowException(Exception):  # noqa: N818 (pyarrow's name)
        pass

    class Batch(dict[str, list[object]]):
        def to_pydict(self) -> dict[str, list[object]]:
            return self

    class ParquetFile:
        def __init__(self, file: Path) -> None:
            if not file.read_bytes().startswith(b"PAR1"):
                raise ArrowException("magic bytes\nnot found")
            self.schema_arrow = ModuleType("schema")
            self.schema_arrow.names = list(columns)
            self.columns = columns

        def iter_batches(self, size: int, columns: list[str]) -> Iterator[Batch]:
            assert "size" not in columns  # what is not asked for may be large
            for row in range(len(self.columns[columns[0]])):  # as many as that, or fewer
                yield Batch({name: self.columns[name][row : row + 1] for name in columns})

    pyarrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    pyarrow.ArrowException, parquet.ParquetFile = ArrowException, ParquetFile
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)


def test_a_parquet_list_reads_like_a_csv_list(write, tmp_path, monkeypatch):
    columns = {"Label": [7, 8], "size": [1, 1], "file": ["a.jpg", "b.jpg"]}
    fake_pyarrow(monkeypatch, columns)
    file = write("PAR1", "list.parquet")
    assert images(file) == {"train": {"7": [tmp_path / "a.jpg"], "8": [tmp_path / "b.jpg"]}}
    columns["Label"][1] = None
    with pytest.raises(EanetError, match="row 2: no label"):
        read_list(file)
    columns["file"][0] = {"bytes": b"\x89PNG" * 100}
    with pytest.raises(EanetError, match=r"row 1: \{'bytes': b'.{40,60}\.\.\. is not a path$"):
        read_list(file)
    with pytest.raises(EanetError, match=r"cannot read .*: magic bytes not found"):
        read_list(write("text", "other.parquet"))


def test_parquet_without_its_reader_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EanetError, match=r"list\.parquet needs pyarrow: pip install pyarrow, or"):
        read_list(write("PAR1", "list.parquet"))
