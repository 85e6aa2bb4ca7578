from __future__ import annotations

import io
import pickle
import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from eanet.data import decode
from eanet.data.decode import UnreadableImageError, decode_image
from eanet.data.keeping import locate
from eanet.errors import EanetError
from eanet.model_files.preprocessing import Preprocessing

RED, GREEN = (255, 0, 0), (0, 255, 0)


def saved(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def halves(size, left=RED, right=GREEN, mode="RGB"):
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def test_the_shorter_side_is_fitted_and_the_centre_is_kept(tmp_path):
    wide = Image.new("RGB", (40, 10), RED)
    wide.paste(GREEN, (13, 0, 27, 10))  # the centre, and what antialiasing reads beside it
    for image in (wide, wide.rotate(90, expand=True)):
        pixels = decode_image(saved(tmp_path, image), 5)
        assert pixels.shape == (5, 5, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == GREEN).all()


def test_shrinking_averages_instead_of_dropping_pixels(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 200
    pixels = decode_image(saved(tmp_path, Image.fromarray(stripes)), 4)
    assert abs(pixels.astype(int) - 100).max() <= 3


def test_path_stream_and_image_give_the_same_and_the_caller_s_image_stays(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "x.jpg")
    pixels = decode_image(path, 20)
    assert np.array_equal(decode_image(io.BytesIO(path.read_bytes()), 20), pixels)
    with path.open("rb") as stream:
        decode_image(stream, 20)
        assert not stream.closed
    with Image.open(path) as image:
        whole = decode_image(image, 20)
        assert image.size == (900, 700)
    assert np.array_equal(whole, pixels), "a JPEG is decoded in full, as other programs do"


def test_without_a_size_the_upright_image_is_decoded_as_large_as_it_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, halves((4, 8)), exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    assert np.array_equal(decode_image(path, None), np.asarray(upright))


def test_the_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: left becomes top
    pixels = decode_image(saved(tmp_path, halves((8, 8)), exif=exif), 8)
    assert (pixels[:4] == RED).all()
    assert (pixels[4:] == GREEN).all()


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_does(tmp_path, kind, orientation):
    quarters = halves((8, 8))
    quarters.paste((0, 0, 255), (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, quarters, f"x.{kind}", exif=exif)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert (decode_image(path, 8) == np.asarray(expected)).all()


def test_a_turned_photograph_with_malformed_exif_is_read(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0  # orientation, resolution
    rational, text = b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02"
    assert rational in exif.tobytes()
    malformed = exif.tobytes().replace(rational, text)
    path = saved(tmp_path, halves((8, 8)), "x.jpg", exif=malformed)
    with Image.open(path) as image, pytest.raises(TypeError):
        ImageOps.exif_transpose(image)
    intact = saved(tmp_path, halves((8, 8)), "y.jpg", exif=exif)
    assert (decode_image(path, 8) == decode_image(intact, 8)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("exif", [b"II*\0\xff\xff\xff\xff", b"II", b"no TIFF at all"])
def test_damaged_exif_does_not_cost_the_image(tmp_path, kind, exif):
    path = saved(tmp_path, halves((8, 8)), f"x.{kind}", exif=b"Exif\0\0" + exif)
    assert decode_image(path, 8).shape == (8, 8, 3)
    with Image.open(path) as image:
        located = locate(([image, halves((8, 8))], ["a", "b"]), tmp_path / "kept")
    assert decode_image(next(Path(located).parent.glob("images/*0.png")), 8).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 2))
    image = image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
    if mode == "PA":
        image.putalpha(Image.fromarray(np.repeat([[255], [255], [0], [0]], 4, 1).astype(np.uint8)))
    pixels = decode_image(image, 4)
    assert (pixels[:2] == 0).all()
    assert (pixels[2:] == 255).all()


def test_a_palette_is_looked_up_with_and_without_transparency(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *GREEN])
    assert (decode_image(saved(tmp_path, image), 4) == GREEN).all()
    assert (decode_image(saved(tmp_path, image, transparency=1), 4) == 255).all()
    assert (decode_image(saved(tmp_path, image, transparency=0), 4) == GREEN).all()


def test_gray_cmyk_and_one_bit_become_rgb(tmp_path):
    assert (decode_image(saved(tmp_path, Image.new("L", (4, 4), 77)), 4) == 77).all()
    assert (decode_image(saved(tmp_path, Image.new("1", (4, 4), 1)), 4) == 255).all()
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = decode_image(saved(tmp_path, cmyk, "x.jpg", quality=100), 16).astype(int)
    assert np.abs(pixels - RED).max() <= 3


def deep(values, dtype):
    return Image.fromarray(np.array([values] * len(values), dtype=dtype))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (deep([0, 257, 32896, 65535], np.uint16), [0, 1, 128, 255]),
        (deep([0, 257, 32896, 65535], np.int32), [0, 1, 128, 255]),
        (deep([-100_000, 0, 0, 100_000], np.int32), [0, 128, 128, 255]),
        (deep([0, 0.25, 0.5, 1], np.float32), [0, 64, 128, 255]),
        (deep([0, 1, 128, 255], np.float32), [0, 1, 128, 255]),
        (deep([-2, -1, np.nan, 2], np.float32), [0, 64, 128, 255]),
        (deep([-5, -5, -5, -5], np.int32), [0, 0, 0, 0]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_deep_images_are_scaled_not_clipped(tmp_path, image, expected):
    pixels = decode_image(saved(tmp_path, image, "x.tif"), 4)
    assert pixels[0, :, 0].tolist() == expected
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_sixteen_bit_png_is_scaled(tmp_path):
    path = saved(tmp_path, deep([0, 257, 32896, 65535], np.uint16))
    assert decode_image(path, 4)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_an_animation_is_read_by_its_first_frame(tmp_path):
    first, second = Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), GREEN)
    path = saved(tmp_path, first, "x.gif", save_all=True, append_images=[second])
    assert (decode_image(path, 4) == RED).all()


# A TIFF with a pixel of a 64-bit float, as scientific programs write them: of each entry the tag,
# the type, how many, and the value.
DOUBLES = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 8) + b"".join(
    struct.pack("<HHII", tag, 4, 1, value)
    for tag, value in [
        *((256, 1), (257, 1), (258, 64), (259, 1), (262, 1), (273, 110), (279, 8), (339, 3)),
    ]
) + bytes(4) + struct.pack("<d", 0.5)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello, I am text", "not an image"),
        (b"", "empty file"),
        (DOUBLES, "64-bit floats"),
        ("truncated.jpg", "truncated"),
        ("truncated.png", "truncated"),
    ],
)
def test_a_damaged_file_is_named_with_the_reason_in_one_line(tmp_path, content, reason):
    path = tmp_path / "broken.jpg"
    if isinstance(content, str):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        content = saved(tmp_path, Image.fromarray(noise), content).read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(path, 8)
    assert str(caught.value).startswith(f"cannot read image {path}: ")
    assert reason in caught.value.reason
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, EanetError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # between processes


def test_a_missing_file_and_a_folder_are_clear(tmp_path):
    with pytest.raises(UnreadableImageError, match="No such file"):
        decode_image(tmp_path / "no.png", 8)
    with pytest.raises(UnreadableImageError, match="a folder; give the files in it"):
        decode_image(tmp_path, 8)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_huge_jpeg_is_reduced_where_it_is_decoded_without_moving(
    tmp_path, monkeypatch, fit, orientation
):
    """Its sides are no multiples of 8, so the last reduced pixels reach beyond the image."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    ramp = np.linspace(0, 255, 517 * 397).reshape(517, 397) + np.linspace(0, 255, 397)
    image = Image.fromarray((ramp / 2).astype(np.uint8)).convert("RGB")
    path = saved(tmp_path, image, "x.jpg", quality=95, exif=exif)
    whole = decode_image(path, 6, Preprocessing(fit=fit))
    monkeypatch.setattr(decode, "LARGE", 517 * 397 - 1)
    sizes = []
    monkeypatch.setattr(decode.PIXELS, "taken", lambda n: sizes.append(n) or nullcontext())
    reduced = decode_image(path, 6, Preprocessing(fit=fit))
    assert sizes == [65 * 50]
    assert abs(reduced.astype(int) - whole).max() <= 1
    assert sorted(decode_image(path, None).shape) == [3, 397, 517], "not reduced without a size"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_of_which_pillow_warns_is_read_and_what_it_refuses_is_not(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("L", (100, 100), 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)
    assert (decode_image(path, 8) == 7).all()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)
    with pytest.raises(UnreadableImageError, match="more pixels than Pillow reads"):
        decode_image(path, 8)
