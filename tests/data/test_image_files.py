from __future__ import annotations

import errno
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from eanet.config import DataSettings
from eanet.data import choose_preprocessing, decode_split
from eanet.data.decode import decode_image, read_image
from eanet.data.layout import list_images
from eanet.data.source import open_source
from eanet.errors import EanetError
from tests.support.screen import Screen

OPTIONS = DataSettings(image_size=4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pets"


def add(path: Path, level: int = 0, size=(6, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


def fill(*folders: Path) -> None:
    for folder in folders:
        add(folder / "0.png", 10)
        add(folder / "1.png", 20)


def test_class_folders_are_read_in_order_also_nested_and_whatever_the_case(root):
    add(root / "dogs" / "b.PNG", 3)
    add(root / "dogs" / "a.bmp", 2)
    add(root / "cats" / "deep" / "er" / "x.jpeg", 1)
    splits = open_source(root).load_splits(OPTIONS)
    assert splits.train.classes == ("cats", "dogs")
    assert splits.train.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert splits.train.labels.tolist() == [0, 1, 1]
    assert (splits.validation, splits.test, splits.notes) == (None, None, ())


def test_hidden_files_and_folders_are_left_out(root):
    fill(root / "cats", root / "dogs", root / ".git", root / "__MACOSX", root / "cats" / ".thumbs")
    add(root / "cats" / "._0.png")
    splits = open_source(root).load_splits(OPTIONS)
    assert splits.train.classes == ("cats", "dogs")
    assert len(splits.train) == 4
    assert splits.notes == ()
    assert [path.name for path in list_images(root / "cats")] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),  # as Roboflow writes them
        ("Training", "VALIDATION", "Testing"),
    ],
)
def test_split_folders_are_honoured(root, names):
    (root / names[0]).mkdir(parents=True)
    (root / names[0] / "_notes.txt").touch()
    for split, level in zip(names, (1, 2, 3), strict=True):
        for name in ("cats", "dogs"):
            add(root / split / name / "x.png", level)
    splits = open_source(root).load_splits(OPTIONS)
    parts = (splits.train, splits.validation, splits.test)
    assert [part.images[0, 0, 0, 0] for part in parts] == [1, 2, 3]
    assert [part.labels.tolist() for part in parts] == [[0, 1]] * 3
    assert splits.notes == ("ignored 1 file of other kinds (.txt)",)


def test_a_class_that_a_split_lacks_keeps_its_number_and_is_noted(root):
    fill(root / "train" / "cats", root / "train" / "dogs", root / "val" / "dogs")
    (root / "val" / "cats").mkdir()
    splits = open_source(root).load_splits(OPTIONS)
    assert splits.validation.labels.tolist() == [1, 1]
    assert splits.notes == ("no validation images of cats",)


def test_folders_beside_the_splits_are_named(root):
    fill(root / "train" / "cats", root / "train" / "dogs", root / "extra" / "cats")
    assert open_source(root).load_splits(OPTIONS).notes == (
        "ignored next to the split folders: extra (--layout classes takes every folder for a "
        "class)",
    )


def test_a_train_is_a_class_among_other_vehicles(root):
    fill(root / "train", root / "plane")
    assert open_source(root).load_splits(OPTIONS).train.classes == ("plane", "train")


def refused(root, message):
    with pytest.raises(EanetError, match=message) as caught:
        open_source(root).load_splits(OPTIONS)
    assert "\n" not in str(caught.value)


def test_each_wrong_layout_is_one_clear_line(root):
    root.mkdir()
    refused(root, "no class folders in .*pets: put")
    add(root / "loose.png")
    refused(root, "no class folders in .*pets: put")
    fill(root / "cats")
    refused(root, r"only one class \(cats\) in .*pets")
    (root / "dogs").mkdir()
    refused(root, "class folder .*dogs has no image: add some")
    (root / "dogs" / "x.HEIC").touch()
    refused(
        root, r"dogs has no image, only 1 file of other kinds \(\.heic; .*pip install pillow-heif"
    )
    (root / "dogs" / "x.jpg").write_text("text")
    refused(root, "no readable image of class 'dogs' among the training images")


def test_each_wrong_split_is_one_clear_line(root):
    fill(root / "test" / "cats", root / "test" / "dogs")
    refused(root, "split folder test but no train")
    fill(root / "train" / "cats", root / "train" / "dogs", root / "val" / "birds")
    refused(
        root, "class 'birds' is among the validation images of .*val but not among the training"
    )
    (root / "val" / "birds" / "0.png").unlink()
    fill(root / "valid" / "cats")
    refused(root, "valid are both validation images")


def test_a_split_without_a_readable_image_is_refused(root):
    fill(root / "train" / "cats", root / "train" / "dogs")
    (root / "val" / "cats").mkdir(parents=True)
    refused(root, "no readable image among the validation images of .*val")
    (root / "val" / "cats" / "x.png").write_text("text")
    refused(root, r"among the validation images of .*val; .*x\.png: not an image")


def test_a_folder_that_may_not_be_read_is_named(root, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    fill(root / "cats", root / "dogs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.scandir", denied)
        refused(root, "cats: Permission denied")
    monkeypatch.setattr(Path, "iterdir", denied)
    refused(root, r"pets \(Permission denied\)")


def test_what_is_skipped_or_ignored_is_noted_with_its_name_and_reason(root):
    fill(root / "cats", root / "dogs")
    (root / "cats" / "a.jpg").write_text("I am text")
    (root / "cats" / "empty.png").touch()
    add(root / "dogs" / "still.gif")
    frames = [Image.new("L", (6, 5), level) for level in (1, 2)]
    frames[0].save(root / "dogs" / "wave.gif", save_all=True, append_images=frames[1:])
    add(root / "loose.png")
    for name in ("notes.txt", "Thumbs.db", "LICENSE"):
        (root / "dogs" / name).touch()
    splits = open_source(root).load_splits(OPTIONS)
    assert splits.train.counts().tolist() == [2, 4]
    assert splits.notes == (
        "skipped 2 unreadable images: cats/a.jpg (not an image), cats/empty.png (empty file)",
        "1 animation of which the first frame is used: dogs/wave.gif",
        "ignored 1 image outside the class folders: loose.png",
        "ignored 3 files of other kinds (.db, .txt, no extension)",
    )
    assert open_source(root).load_splits(OPTIONS).notes == splits.notes  # from the cache, too


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_passes_is_not_remembered_as_a_damaged_image(root, monkeypatch, error, reason):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        add(root / name)
    read = Image.open

    def fail(file, *rest, **options):
        if Path(file).name == "2.png":
            raise error
        return read(file, *rest, **options)

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(EanetError, match=rf"cannot read .*2\.png \({reason}\): run again"):
        open_source(root).load_splits(OPTIONS)
    monkeypatch.setattr(Image, "open", read)
    assert len(open_source(root).load_splits(OPTIONS).train) == 3


def test_levels_found_on_a_failing_drive_are_not_remembered(root, monkeypatch):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(root / name)
    read = Image.open

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(EanetError, match=r"cannot read .*png \(Input/output error\): run again"):
        open_source(root).load_splits(OPTIONS)
    monkeypatch.setattr(Image, "open", read)
    assert open_source(root).load_splits(OPTIONS).preprocessing.levels == (0, 4095)


def test_of_many_skipped_images_five_are_named(root):
    fill(root / "cats", root / "dogs")
    for i in range(7):
        (root / "cats" / f"bad{i}.png").touch()
    (note,) = open_source(root).load_splits(OPTIONS).notes
    assert note.startswith("skipped 7 unreadable images: cats/bad0.png (empty file), ")
    assert note.endswith("cats/bad4.png (empty file) and 2 more")


def test_a_second_load_decodes_nothing_until_a_file_changes(root, monkeypatch):
    decoded = []

    def counting(path, *options):
        decoded.append(path.name)
        return read_image(path, *options)

    monkeypatch.setattr(decode_split, "read_image", counting)
    fill(root / "cats", root / "dogs")
    first = open_source(root).load_splits(OPTIONS).train
    assert len(decoded) == 4
    second = open_source(root).load_splits(OPTIONS).train
    assert len(decoded) == 4
    assert second.fingerprint() == first.fingerprint()
    assert isinstance(second.images, np.memmap)
    add(root / "cats" / "2.png", 99)
    assert len(open_source(root).load_splits(OPTIONS).train) == 5
    assert len(decoded) == 9
    open_source(root).load_splits(DataSettings(image_size=5))
    assert len(decoded) == 14


def test_another_pillow_decodes_and_measures_anew(root, monkeypatch):
    fill(root / "cats", root / "dogs")
    open_source(root).load_splits(OPTIONS)
    called = []
    for module, name in ((decode_split, "read_image"), (choose_preprocessing, "_measure")):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, name=name, f=function, **k: called.append(name) or f(*a, **k)
        )
    open_source(root).load_splits(OPTIONS)
    assert not called
    monkeypatch.setattr("PIL.__version__", "99.0")
    open_source(root).load_splits(OPTIONS)
    assert called == ["_measure"] + 4 * ["read_image"]


def test_the_images_are_those_of_decode_image_in_the_order_of_the_files(root):
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        for i in range(8):
            add(root / name / f"{i}.png", int(random.integers(256)), (3 + i * 20, 30))
    splits = open_source(root).load_splits(OPTIONS)
    for image, path in zip(splits.train.images, list_images(root), strict=True):
        assert np.array_equal(image, decode_image(path, 4, splits.preprocessing))


def test_a_terminal_shows_how_many_images_a_second(root, monkeypatch):
    terminal = Console(file=Screen(), force_terminal=True, width=120)
    monkeypatch.setattr("eanet.console.console", terminal)
    fill(root / "cats", root / "dogs")
    open_source(root).load_splits(OPTIONS)
    shown = terminal.file.getvalue()
    assert "decoding pets" in shown
    assert "4/4" in shown
    assert "images/s" in shown


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_oversized_image_is_skipped_and_the_process_keeps_its_warnings(root, monkeypatch):
    fill(root / "cats", root / "dogs")
    add(root / "cats" / "big.png", size=(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    filters = list(warnings.filters)
    seen = []
    real = decode_split.read_image
    monkeypatch.setattr(
        decode_split,
        "read_image",
        lambda *args: seen.append(list(warnings.filters)) or real(*args),
    )
    (note,) = open_source(root).load_splits(OPTIONS).notes
    assert len(seen) == 5
    assert all(during == filters for during in seen)
    assert note == "skipped 1 unreadable image: cats/big.png (more pixels than Pillow reads)"


def test_listing_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(EanetError, match=r"cannot read the folder .*nowhere"):
        list_images(tmp_path / "nowhere")


def test_ants_and_bees(shared_data):
    data = open_source(shared_data / "hymenoptera").load()
    assert data.train.classes == ("ants", "bees")
    assert len(data.train) + len(data.test) == 245
    assert data.validation.counts().tolist() == [70, 83]
    assert data.test.counts().tolist() == [25, 24]
    assert data.train.image_size == 64
    assert 80 < min(data.train.mean_std()[0]) < max(data.train.mean_std()[0]) < 140
    odd, split = data.notes
    assert odd == (
        "2 images unlike the others, worth a look: "
        "train/ants/662541407_ff8db781e7.jpg (420 x 123 pixels, over 3 times as long as wide), "
        "train/ants/imageNotFound.gif (GIF, where nearly all are JPEG)"
    )
    assert split.startswith("no test images: 20 % of the training images (49) set aside")
