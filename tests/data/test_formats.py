from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eanet.data.decode import UnreadableImageError, decode_image, read_image
from eanet.data.find import find_images
from eanet.data.folder import read_folder
from eanet.data.formats import FORMATS, image_extensions, readable_formats
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


def test_a_jpeg_of_scans_without_end_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, progressive=True, quality=95)
    assert decode_image(path, 8).shape == (8, 8, 3)
    content = path.read_bytes()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + 200 * content[last:-2] + content[-2:])
    with pytest.raises(UnreadableImageError, match=r"damaged: a JPEG of 2\d\d scans"):
        decode_image(path, 8)


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
@pytest.mark.parametrize("name", ["x.HEIC", "x.jpg"])
def test_an_iphone_photograph_says_what_it_needs_whatever_it_is_called(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(EanetError, match="HEIC needs: pip install pillow-heif"):
        read_image(file, 8)
    (tmp_path / "y.jpg").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(EanetError, match="not an image"):
        read_image(tmp_path / "y.jpg", 8)
    if name == "x.HEIC":
        (tmp_path / "y.jpg").unlink()
        with pytest.raises(EanetError, match=r"no image in .*; HEIC needs: pip install"):
            find_images([str(tmp_path)])
