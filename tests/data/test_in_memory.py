"""Data in memory become files that a list names, and with that a source like any other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

import eanet
from eanet import EanetError
from eanet.config import DataSettings
from eanet.data.decode import decode_image
from eanet.data.keeping import locate
from eanet.data.source import open_source
from eanet.data.splits import SourceSplits

COUNT, SIDE = 12, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
LABELS = np.arange(COUNT) % 3
TENSOR = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)  # (n, 3, H, W)
GREY = PIXELS[0, ..., 0].astype(int)
NAMES = ["ant", "bee", "cat"]


def kept(data: Any, folder: Path) -> SourceSplits:
    settings = DataSettings(image_size=SIDE, fit="squash")
    return open_source(locate(data, folder)).load_splits(settings)


def in_order(splits: SourceSplits) -> list[tuple[int, bytes]]:
    """Each image with its label, whatever order the list is read in."""
    train = splits.train
    return sorted(zip(train.labels.tolist(), (i.tobytes() for i in train.images), strict=True))


EXPECTED = sorted(zip(LABELS.tolist(), (i.tobytes() for i in PIXELS), strict=True))


class Torch(Dataset[Any]):
    """A map-style data set, as those of torchvision are."""

    classes = NAMES

    def __init__(self, image: Any, labels: Any = LABELS) -> None:
        self.image, self.labels = image, labels

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.image(PIXELS[index]), self.labels[index]


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    ("data", "classes"),
    [
        ((PIXELS, LABELS), ("0", "1", "2")),
        ((PIXELS, LABELS[:, None]), ("0", "1", "2")),  # as Keras loads them
        ((PIXELS, np.eye(3)[LABELS]), ("0", "1", "2")),
        ((PIXELS / np.float32(255), LABELS.tolist()), ("0", "1", "2")),
        ((PIXELS.astype(float), LABELS.astype(float)), ("0", "1", "2")),
        ((torch.from_numpy(PIXELS), torch.from_numpy(LABELS)), ("0", "1", "2")),
        ((list(PIXELS), [NAMES[k] for k in LABELS]), ("ant", "bee", "cat")),
        (([*map(Image.fromarray, PIXELS)], np.array(NAMES)[LABELS]), ("ant", "bee", "cat")),
        ((PIXELS, np.array(NAMES, "S")[LABELS]), ("ant", "bee", "cat")),  # as HDF5 has texts
        ((PIXELS, np.array([b"\xe8", b"\xe9", b"z"])[LABELS]), ("\\xe8", "\\xe9", "z")),  # Latin-1
        ((torch.from_numpy(PIXELS).bfloat16(), LABELS), ("0", "1", "2")),
        ([*zip(PIXELS, np.array(NAMES)[LABELS], strict=True)], ("ant", "bee", "cat")),
        (Torch(Image.fromarray), ("ant", "bee", "cat")),
        (Torch(channels_first), ("ant", "bee", "cat")),
        (Torch(channels_first, LABELS.astype(float)), ("ant", "bee", "cat")),
        (Subset(Torch(channels_first), range(COUNT)), ("ant", "bee", "cat")),
        (TensorDataset(TENSOR, torch.from_numpy(LABELS)), ("0", "1", "2")),
    ],
)  # fmt: skip
def test_images_and_labels_come_back_as_they_were(
    data: Any, classes: tuple[str, ...], tmp_path: Path
) -> None:
    splits = kept(data, tmp_path)
    assert splits.train.classes == classes
    assert in_order(splits) == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        {"train": (PIXELS[:6], LABELS[:6]), "test": (PIXELS[6:], LABELS[6:])},
        ((PIXELS[:6], LABELS[:6]), (PIXELS[6:], LABELS[6:])),  # as Keras loads them
    ],
    ids=["dictionary", "pairs"],
)
def test_splits_stay_splits(data: Any, tmp_path: Path) -> None:
    splits = kept(data, tmp_path)
    assert splits.test is not None
    assert [len(splits.train), splits.validation, len(splits.test)] == [6, None, 6]


def test_a_dataset_of_our_own_is_taken_with_its_splits(photos: Path, tmp_path: Path) -> None:
    loaded = eanet.load_dataset(photos, image_size=SIDE)
    again = open_source(locate(loaded, tmp_path)).load(DataSettings(image_size=SIDE))
    for split, images in loaded.sets.items():
        assert again.sets[split].classes == images.classes
        assert np.array_equal(again.sets[split].images, images.images), split


def test_a_table_of_paths_copies_no_image_and_keeps_its_splits_and_groups(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(photos.parent)
    files = sorted(path.relative_to(photos.parent) for path in photos.glob("*/*.png"))
    table = pandas.DataFrame(
        {
            "filename": map(str, files),
            "Class": [file.parent.name for file in files],
            "split": ["test" if file.stem < "03" else "train" for file in files],
            "animal": [f"{file.parent.name} {int(file.stem) // 2}" for file in files],
        }
    )
    place = Path(locate(table, tmp_path))
    assert [file.name for file in place.parent.iterdir()] == ["images.csv"]
    splits = open_source(place).load_splits(DataSettings(image_size=SIDE, group="animal"))
    assert splits.train.classes == ("blue", "green", "red")
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (27, 9)
    assert splits.train.groups is not None
    assert set(splits.train.files or ()) <= set(photos.glob("*/*.png"))


def test_a_table_may_have_its_splits_in_a_column_of_another_name(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    files = sorted(photos.glob("*/*.png"))
    names, held_out = [x.parent.name for x in files], [x.stem < "03" for x in files]
    twice = {"Label": names, "label": "x"}  # of names that are read alike, the first is taken
    table = pandas.DataFrame({"path": files, **twice, "is_valid": held_out})
    splits = open_source(locate(table, tmp_path)).load_splits(DataSettings(image_size=SIDE))
    assert splits.validation is not None
    assert {path.stem for path in splits.validation.files or ()} == {"00", "01", "02"}
    assert splits.train.classes == ("blue", "green", "red")
    assert "splits in the DataFrame are in its column is_valid" in capsys.readouterr().err


def test_a_table_may_mark_its_classes_in_columns_of_their_names(
    photos: Path, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    files = sorted(photos.glob("*/*.png"))
    marks = pandas.get_dummies(pandas.Series([path.parent.name for path in files]))
    table = pandas.DataFrame({"image": files, **marks, "split": "train"})
    place = Path(locate(table, tmp_path))
    assert place.read_text().splitlines()[0] == "path,label,split"
    splits = open_source(place).load_splits(DataSettings(image_size=SIDE))
    named = zip(splits.train.files or (), splits.train.labels.tolist(), strict=True)
    assert {path: splits.train.classes[label] for path, label in named} == {
        path: path.parent.name for path in files
    }
    table.loc[3, "red"] = table.loc[3, "blue"] = True
    with pytest.raises(EanetError, match=r"^row 3 of the DataFrame: the image is of blue, red"):
        locate(table, tmp_path)
    with pytest.raises(EanetError, match=r"^the DataFrame has no column 'label'; its columns are"):
        locate(pandas.DataFrame({"path": files, "size": 3, "cost": 1}), tmp_path)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["p1", "p1", None, None], "object"),
        (["p1", "p1", float("nan"), float("nan")], "object"),
        ([1.0, 1.0, float("nan"), None], "float64"),
        (["p1", "p1", None, None], "string"),
        ([1, 1, None, None], "Int64"),
        (["2026-01-01", "2026-01-01", None, None], "datetime64[ns]"),
        (["p1", "p1", None, None], "category"),
    ],
)
def test_an_image_without_a_group_is_a_group_of_its_own(
    values: list[Any], dtype: str, photos: Path, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    files = [photos / kind / f"{number:02}.png" for kind in ("red", "blue") for number in (0, 1)]
    table = pandas.DataFrame(
        {
            "path": map(str, files),
            "label": ["red", "red", "blue", "blue"],
            "patient": pandas.Series(values, dtype=dtype),
        }
    )
    settings = DataSettings(image_size=SIDE, group="patient")
    splits = open_source(locate(table, tmp_path)).load_splits(settings)
    assert splits.train.groups is not None
    number = dict(zip(splits.train.files or (), splits.train.groups.tolist(), strict=True))
    assert number[files[0]] == number[files[1]]
    assert len(set(number.values())) == 3


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["x", None], "string"),
        ([1, None], "Int64"),
        ([1, None], "float64"),
        (["x", None], "object"),
        (["2026-01-01", None], "datetime64[ns]"),
        (["x", None], "category"),
    ],
)
def test_a_missing_label_of_a_table_is_one_line(
    values: list[Any], dtype: str, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"path": ["a", "b"], "label": pandas.Series(values, dtype=dtype)})
    with pytest.raises(EanetError, match=r"^the label of image 1 is missing$"):
        locate(table, tmp_path)


def test_a_hugging_face_dataset_keeps_its_files_its_names_and_its_own(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "labels": datasets.ClassLabel(names=NAMES),
            "patient": datasets.Value("int64"),
            "film": datasets.Value("string"),
            "split": datasets.Value("string"),  # of another division than the data's own
        }
    )
    columns = {
        "image": [*map(Image.fromarray, PIXELS)],
        "labels": LABELS.tolist(),
        "patient": (LABELS // 2).tolist(),
        "film": ["one"] * 5 + [None] * (COUNT - 5),
        "split": ["train", "test"] * (COUNT // 2),
    }
    data = datasets.Dataset.from_dict(columns, features=features)
    both = datasets.DatasetDict({"train": data, "validation": data.select(range(3))})
    splits = kept(both, tmp_path)
    assert splits.train.classes == tuple(NAMES)
    assert in_order(splits) == EXPECTED
    assert splits.validation is not None
    assert len(splits.validation) == 3
    assert "patient" in Path(locate(both, tmp_path)).read_text().splitlines()[0]
    settings = DataSettings(image_size=SIDE, group="film")
    groups = open_source(locate(both, tmp_path)).load_splits(settings).train.groups
    assert len(np.unique(groups)) == 1 + COUNT - 5


def test_equal_data_are_kept_once_and_others_beside_them(tmp_path: Path) -> None:
    first = locate((PIXELS, LABELS), tmp_path)
    assert locate((PIXELS.copy(), LABELS.tolist()), tmp_path) == first
    others = ((PIXELS, LABELS[::-1]), (255 - PIXELS, LABELS))
    assert len({first, *(locate(data, tmp_path) for data in others)}) == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_deep_images_keep_their_values(tmp_path: Path) -> None:
    deep = PIXELS[..., 0].astype(np.uint16) * 16  # 12 bits
    splits = kept((deep, LABELS), tmp_path)
    assert splits.preprocessing.levels == (0, 4095)


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [("jpg", "L"), ("png", "RGB"), ("png", "I;16"), ("tif", "L"), ("tif", "I;16"), ("tif", "F")],
)
def test_an_opened_photograph_is_trained_on_as_it_is_predicted_on(
    kind: str, mode: str, is_loaded: bool, tmp_path: Path
) -> None:
    file, exif = tmp_path / f"turned.{kind}", Image.Exif()
    exif[0x0112] = 6
    grey = np.outer(np.arange(1, SIDE + 1), np.arange(2, SIDE + 2)).astype(np.uint16) * 200
    pixels = {"I;16": grey, "F": np.float32(grey)}.get(mode, (grey >> 8).astype(np.uint8))
    image = Image.fromarray(pixels)
    (image.convert("RGB") if mode == "RGB" else image).save(file, exif=exif)
    with Image.open(file) as opened:
        if is_loaded:
            opened.load()
        located = locate([(opened, "a"), (PIXELS[0], "b")], tmp_path / "kept")
    (copy,) = Path(located).parent.glob("images/*0.*")
    assert np.array_equal(decode_image(copy, SIDE), decode_image(file, SIDE))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "P"])
def test_transparency_is_kept_in_every_mode(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS[0])
    alpha = Image.fromarray(PIXELS[1, ..., 0])
    if mode == "PA":
        image = image.convert("P").convert("PA")
        image.putalpha(alpha)
    elif mode == "P":
        image = image.convert("P")
        image.info["transparency"] = bytes(range(256))
    else:
        image.putalpha(alpha)
        image = image.convert(mode)
    located = locate([(image, "a"), (PIXELS[0], "b")], tmp_path)
    (copy,) = Path(located).parent.glob("images/*0.png")
    assert np.array_equal(decode_image(copy, SIDE), decode_image(image, SIDE))


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_missing_measurement_is_black_and_tells_nothing_of_the_scale(
    missing: float, tmp_path: Path
) -> None:
    images = PIXELS[..., 0] / 255
    images[1, 0, 0] = missing
    splits = kept((images, LABELS), tmp_path)
    assert splits.preprocessing.levels == (0, 1)
    expected = PIXELS[..., 0].copy()
    expected[1, 0, 0] = 0
    found = [image[::3] for _, image in in_order(splits)]
    assert sorted(found) == sorted(image.tobytes() for image in expected)


@pytest.mark.parametrize("kind", [np.uint16, np.dtype(">u2"), np.int16, np.uint32])
def test_the_type_of_deep_images_tells_their_depth_however_dark_one_is(
    kind: np.typing.DTypeLike, tmp_path: Path
) -> None:
    levels = np.array([0, 200, 3000])  # of the three classes; 4,095 is white
    images = np.full((COUNT, SIDE, SIDE), levels[LABELS][:, None, None], kind)
    images[:, 0, 0] += np.arange(COUNT, dtype=np.uint8)  # no two are the same
    for label, image in in_order(kept((images, LABELS), tmp_path)):
        assert image[-1] == round(levels[label] / 4095 * 255)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, int, np.int32])
def test_integers_of_any_type_may_be_of_8_bits(kind: type, tmp_path: Path) -> None:
    images = (PIXELS[..., 0] // 2).astype(kind)
    splits = kept((images, LABELS), tmp_path)
    assert splits.preprocessing.levels is None
    assert sum(i[0] for _, i in in_order(splits)) == images[:, 0, 0].sum() * (
        255 if kind is bool else 1
    )


def test_names_and_paths_are_left_as_they_are(tmp_path: Path) -> None:
    assert locate("digits", tmp_path) == "digits"
    assert locate(tmp_path / "photos", tmp_path) == str(tmp_path / "photos")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "data are the name of a data set, a path, .* not int"),
        (None, "not NoneType"),
        (PIXELS, "not ndarray"),
        (SimpleNamespace(features={}, cast_column=None), "not SimpleNamespace"),  # no length
        ({}, "there are no data"),
        ((), "there are no images"),
        ((PIXELS[:0], LABELS[:0]), "there are no images"),
        ((PIXELS, 3), r"not \(ndarray, int\)"),
        (("digits", "mnist"), r"not \(str, str\)"),
        ((PIXELS, LABELS[:5]), "12 images and 5 labels"),
        ([PIXELS, LABELS], r"yields pairs \(image, label\), not ndarray"),
        ((PIXELS, [*LABELS[:-1], None]), r"the label of image 11 \(train\) is missing"),
        ((PIXELS, np.where(LABELS == 2, np.nan, LABELS)), "the label of image 2 .* is missing"),
        ((PIXELS, 2 * np.eye(3)[LABELS]), "give a number, a name or a row with a single 1"),
        ((PIXELS, np.ones((COUNT, 3))), "give a number, a name or a row with a single 1"),
        (([object()] * COUNT, LABELS), "an image is a path, a Pillow image or an array"),
        ((PIXELS[..., :2], LABELS), r"an image is an array \(H, W\)"),
        (((PIXELS - 120.0) / 60, LABELS), "the model normalises by itself"),
        ((PIXELS * 0 - 0.5, LABELS), "go from -0.5 to -0.5"),
        ((np.full((COUNT, SIDE, SIDE, 3), np.nan), LABELS), "go from nan"),
        (([PIXELS[0] / 255, PIXELS[1] * 1.0], [0, 1]), "images 0 and 1 are of floats"),
        (([GREY, GREY + 300], [0, 1]), "images 0 and 1 are of integers, up to 255"),
        ({"train": (PIXELS, LABELS), "other": (PIXELS, LABELS)}, "unknown split 'other'"),
        (Subset(Torch(lambda _: "missing.png"), range(COUNT)), "missing.png"),
    ],
)
def test_anything_else_is_answered_in_one_line(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=message) as caught:
        kept(data, tmp_path)
    assert "\n" not in str(caught.value)


def test_what_could_not_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(EanetError):
        locate(([*PIXELS[:5], object()], LABELS[:6]), tmp_path)
    assert not list(tmp_path.iterdir())
