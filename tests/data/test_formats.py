from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data.decode import UnreadableImageError, decode_image, read_image
from eanet.data.find import find_images
from eanet.data.folder import read_folder
from eanet.data.formats import FORMATS, image_extensions, readable_formats
from eanet.data.source import open_source
from eanet.data.statistics import image_statistics
from eanet.errors import EanetError


@pytest.fixture
def asked_anew() -> Iterator[None]:
    for answer in (readable_formats, image_extensions):
        answer.cache_clear()
    yield
    for answer in (readable_formats, image_extensions):
        answer.cache_clear()


@pytest.mark.parametrize("extension", sorted(image_extensions()))
def test_every_kind_of_image_is_found_and_read(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{extension}"
    image = Image.new("1" if extension == ".pbm" else "RGB", (8, 8), "white")
    if extension == ".qoi" and "QOI" not in Image.SAVE:
        pytest.skip("this Pillow reads QOI but does not write it")
    image.save(path, "JPEG" if extension == ".jpe" else None)
    assert decode_image(path, 4).min() > 240


def test_the_documentation_names_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs/options.md").read_text("utf-8")
    (named,) = [line for line in page.splitlines() if line.startswith("| image formats |")]
    names = {"DIB": "BMP", "JPEG2000": "JPEG 2000", "PPM": "PPM/PGM/PBM", "WEBP": "WebP"}
    assert all(names.get(name, name) in named for name in FORMATS)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"
OTHERS = {
    "postscript": POSTSCRIPT,
    "icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x04\0\0\0\x16\0\0\0\0\0\0\0",
    "film": b"\0\0\1\xb3\x01\0\x10" + b"\0" * 60,
    "windows metafile": b"\xd7\xcd\xc6\x9a" + b"\0" * 80,
    "palette": b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n"a c #FFFFFF",\n"a"\n};\n',
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_else_pillow_knows_is_no_image_whatever_it_is_called(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*arguments: object, **options: object) -> None:
        pytest.fail(f"another program was asked: {arguments}")

    for name in ("Popen", "call", "check_call", "run"):
        monkeypatch.setattr(subprocess, name, started)
    path = tmp_path / "a" / "x.png"
    path.parent.mkdir()
    path.write_bytes(OTHERS[kind])
    with pytest.raises(UnreadableImageError, match="not an image"):
        decode_image(path, 8)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path.with_name("y.png"))
    assert image_statistics(read_folder(tmp_path)).side == 4


def _jpeg(frame: int, scans: int) -> bytes:
    """A JPEG of 8 x 8 pixels, with scans of one colour each, and zeros as data."""

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    codes = bytes([1, *[0] * 15, 0])  # one of one bit, for zero
    colours = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    return b"".join(
        (
            b"\xff\xd8",
            20 * segment(0xFE, 30_000 * b"\xff\xda"),  # more than is read at a time
            segment(0xDB, b"\0" + bytes([1] * 64)),
            *(segment(0xC4, kind + codes) for kind in (b"\x00", b"\x10")),
            segment(frame, struct.pack(">BHHB", 8, 8, 8, 3) + colours),
            *(
                segment(0xDA, bytes([1, 1 + scan % 3, 0, 0, 63, 0])) + b"\0\0"
                for scan in range(scans)
            ),
            b"\xff\xd9",
        )
    )


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC9], ids=["baseline", "extended", "arithmetic"])
def test_a_jpeg_of_any_kind_has_no_scans_without_end(frame: int, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(_jpeg(frame, 10))
    assert decode_image(path, 8) == pytest.approx(128, abs=3)
    path.write_bytes(_jpeg(frame, 200))
    with pytest.raises(UnreadableImageError, match=r"damaged: a JPEG of more than 100 scans"):
        decode_image(path, 8)


def test_a_progressive_jpeg_of_scans_without_end_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, progressive=True, quality=95)
    assert decode_image(path, 8).shape == (8, 8, 3)
    content = path.read_bytes()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + 200 * content[last:-2] + content[-2:])
    with pytest.raises(UnreadableImageError, match=r"damaged: a JPEG of more than 100 scans"):
        decode_image(path, 8)


def test_what_looks_like_scans_in_a_preview_or_behind_the_picture_is_none(tmp_path: Path) -> None:
    path, film = tmp_path / "x.jpg", b"\0\0" + 300 * b"\xff\xda\0\2"
    Image.new("RGB", (8, 8), "red").save(path, comment=film)
    path.write_bytes(path.read_bytes() + film)
    assert decode_image(path, 8).shape == (8, 8, 3)


IPHONE = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_photographs_of_iphones_count_where_their_plugin_is_installed(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    assert ".heic" not in image_extensions()
    plugin = SimpleNamespace(register_heif_opener=lambda: Image.register_open("HEIF", None))
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    readable_formats.cache_clear()
    image_extensions.cache_clear()
    assert ".heic" in image_extensions()


@pytest.mark.skipif("HEIF" in readable_formats(), reason="its plugin is installed")
@pytest.mark.parametrize("is_archive", [True, False])
def test_what_a_plugin_was_missing_for_is_read_once_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_anew: None, is_archive: bool
) -> None:
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    place, settings = tmp_path / "pets", DataSettings(image_size=4)
    for level, name in enumerate(["cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png"]):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 6), level).save(place / name)
    for name in ("cats", "dogs"):
        (place / name / ("2.heic" if is_archive else "2.jpg")).write_bytes(IPHONE)
    if is_archive:
        place = Path(shutil.make_archive(str(place), "zip", place))
    assert len(open_source(place).load_splits(settings).train) == 4

    def register() -> None:
        # What it makes of a file does not matter here.
        opener: Any = lambda *_: Image.new("L", (6, 6), 99)  # noqa: E731
        Image.register_open("HEIF", opener, lambda start: start == IPHONE[:16])

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    readable_formats.cache_clear()
    image_extensions.cache_clear()
    assert len(open_source(place).load_splits(settings).train) == 6


@pytest.mark.skipif("HEIF" in readable_formats(), reason="its plugin is installed")
@pytest.mark.parametrize("name", ["x.HEIC", "x.jpg"])
def test_an_iphone_photograph_says_what_it_needs_whatever_it_is_called(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(IPHONE)
    with pytest.raises(EanetError, match="HEIC needs: pip install pillow-heif"):
        read_image(file, 8)
    (tmp_path / "y.jpg").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(EanetError, match="not an image"):
        read_image(tmp_path / "y.jpg", 8)
    if name == "x.HEIC":
        (tmp_path / "y.jpg").unlink()
        with pytest.raises(EanetError, match=r"no image in .*; HEIC needs: pip install"):
            find_images([str(tmp_path)])
