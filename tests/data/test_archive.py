from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from eanet.config import DataSettings
from eanet.data import archive as archive_module
from eanet.data.archive import unpack
from eanet.data.source import open_source
from eanet.errors import EanetError

OPTIONS = DataSettings(image_size=4)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "entries"


def png(level: int = 0, size: int = 6) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (size, size), level).save(buffer, "png")
    return buffer.getvalue()


PETS = {f"pets/{name}/{i}.png": png(i) for name in ("cats", "dogs") for i in range(3)}


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in members.items():
                opened.writestr(name, content)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}
    with tarfile.open(path, mode[path.suffix]) as opened:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_an_archive_is_a_data_set_under_its_own_name(tmp_path, ending):
    path = write_archive(tmp_path / f"my.pets{ending}", PETS)
    source = open_source(path)
    assert source.name == "my.pets"
    splits = source.load_splits(OPTIONS)
    assert splits.train.classes == ("cats", "dogs")
    assert splits.train.images[:, 0, 0, 0].tolist() == [0, 1, 2] * 2
    assert splits.originals.relative(splits.train.files[0]) == "cats/0.png"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", path.name]


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_only_images_and_lists_are_unpacked(tmp_path, ending):
    other = ["pets/film.mp4", "pets/.hidden/x.png", "__MACOSX/pets/cats/._0.png", "run.sh"]
    members = PETS | dict.fromkeys(other, b"x") | {"pets/labels.csv": b"path,label\n"}
    folder = unpack(write_archive(tmp_path / f"pets{ending}", members))
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {*PETS, "pets/labels.csv"}


def test_a_list_in_an_archive_is_read_where_there_are_no_class_folders(tmp_path):
    lines = [f"images/{i}.png,{'cat' if i < 3 else 'dog'}" for i in range(6)]
    members = {f"images/{i}.png": png(i) for i in range(6)}
    members["labels.csv"] = "\n".join(["file,class", *lines]).encode()
    train = open_source(write_archive(tmp_path / "pets.zip", members)).load_splits(OPTIONS).train
    assert train.classes == ("cat", "dog")
    assert train.images[:, 0, 0, 0].tolist() == list(range(6))


def test_it_is_unpacked_once_until_it_changes(tmp_path, cache, monkeypatch):
    path = write_archive(tmp_path / "pets.zip", PETS)
    first = open_source(path).load_splits(OPTIONS).train
    with monkeypatch.context() as patch:
        patch.setattr(archive_module, "_extract", lambda *_: pytest.fail("unpacked again"))
        assert open_source(path).load_splits(OPTIONS).train.fingerprint() == first.fingerprint()
    write_archive(path, PETS | {"pets/dogs/9.png": png(9)})
    os.utime(path, (1, 1))
    assert len(open_source(path).load_splits(OPTIONS).train) == 7
    assert len(list(cache.iterdir())) == 3  # unpacked, decoded, and how that was chosen


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png", "..\\out.png"])
@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_a_name_that_leads_out_is_refused_and_nothing_is_written(tmp_path, cache, ending, name):
    path = write_archive(tmp_path / f"evil{ending}", PETS | {name: png()})
    with pytest.raises(EanetError, match=r"evil\S+ is refused: '.*out\.png' is a path outside it"):
        unpack(path)
    assert list(cache.iterdir()) == []
    assert not list(tmp_path.rglob("out.png"))


def test_separators_of_windows_are_understood(tmp_path):
    members = {name.replace("/", "\\"): content for name, content in PETS.items()}
    assert (
        len(open_source(write_archive(tmp_path / "p.zip", members)).load_splits(OPTIONS).train) == 6
    )


def test_links_and_devices_are_left_out(tmp_path):
    with tarfile.open(write_archive(tmp_path / "pets.tar", PETS), "a") as opened:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"pets/cats/{kind.decode()}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            opened.addfile(member)
    with zipfile.ZipFile(write_archive(tmp_path / "pets.zip", PETS), "a") as opened:
        link = zipfile.ZipInfo("pets/cats/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    for path in (tmp_path / "pets.tar", tmp_path / "pets.zip"):
        folder = unpack(path)
        assert len([p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]) == 6


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_archive_made_to_fill_the_disk_is_refused(tmp_path, cache, monkeypatch, ending):
    monkeypatch.setattr(archive_module, "MOST_BYTES", 50_000)
    path = write_archive(tmp_path / f"bomb{ending}", PETS | {"pets/cats/x.bmp": bytes(5_000_000)})
    with pytest.raises(
        EanetError, match=r"bomb\S+ is refused: it unpacks to more than 100 times its size"
    ):
        unpack(path)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_files_count_even_if_they_are_empty(tmp_path, cache, monkeypatch, ending):
    monkeypatch.setattr(archive_module, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(archive_module, "MOST_GROWTH", 1)
    path = write_archive(tmp_path / f"bomb{ending}", {f"{i}.png": b"" for i in range(300)})
    with pytest.raises(EanetError, match=r"bomb\S+ is refused: it unpacks to more than"):
        unpack(path)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_of_a_tar_are_bounded(tmp_path, kind):
    path = tmp_path / "bomb.tgz"
    with tarfile.open(path, "w:gz") as opened:
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, 1 << 21
        opened.addfile(member, io.BytesIO(bytes(1 << 21)))
    with pytest.raises(EanetError, match=r"bomb\.tgz is refused"):
        unpack(path)


def test_members_without_a_name_are_left_out(tmp_path):
    path = write_archive(tmp_path / "pets.zip", PETS)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("xx", b"x")
    path.write_bytes(path.read_bytes().replace(b"xx", b"\0x"))
    assert len(list(unpack(path).rglob("*.png"))) == 6


@pytest.mark.parametrize("names", [("a.png", "a.png/b.png"), (f"{'x' * 300}.png",)])
@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_names_that_no_disk_can_have_are_the_archives_fault(tmp_path, cache, ending, names):
    path = write_archive(tmp_path / f"pets{ending}", dict.fromkeys(names, png()))
    with pytest.raises(EanetError, match=r"pets\S+ is damaged or no archive: "):
        unpack(path)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = content.index(b"IDAT") + 6
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        (".zip", cut),
        (".zip", lambda _: b"text"),
        (".zip", lambda _: b""),
        (".tar", lambda _: b"text" * 300),
        (".tar.gz", cut),
        (".tar.gz", lambda _: b"text"),
        (".tar.bz2", cut),
        (".tar.xz", cut),
    ],
)
def test_a_damaged_archive_is_one_line(tmp_path, cache, ending, damage):
    path = write_archive(tmp_path / f"pets{ending}", {**PETS, "pets/noise.png": os.urandom(90_000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EanetError, match=r"pets\S+ is damaged or no archive: \S") as caught:
        unpack(path)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_damaged_header_in_a_tar_does_not_end_it_silently(tmp_path, ending, place):
    path = write_archive(tmp_path / f"pets{ending}", PETS)
    opener = {".tar": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[path.suffix]
    with opener(path, "rb") as file:
        content = bytearray(file.read())
    content[place * 1024] ^= 255  # each image takes a block after its header
    with opener(path, "wb") as file:
        file.write(content)
    with pytest.raises(EanetError, match=r"pets\S+ is damaged or no archive: \S"):
        unpack(path)


def test_the_checksum_of_a_compressed_tar_is_checked(tmp_path):
    path = write_archive(tmp_path / "pets.tgz", PETS)
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(EanetError, match=r"damaged or no archive: CRC check failed"):
        unpack(path)


def test_a_zip_without_its_beginning_or_with_a_damaged_name_is_one_line(tmp_path):
    path = write_archive(tmp_path / "pets.zip", {"ü.png": png(), "noise.png": os.urandom(9000)})
    content = path.read_bytes()
    for damaged in (content[5000:], content.replace("ü".encode(), b"\xff\xff")):
        path.write_bytes(damaged)
        with pytest.raises(EanetError, match=r"pets\.zip is damaged or no archive: \S"):
            unpack(path)


def test_a_changed_byte_in_a_zip_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a.png", png())
    path.write_bytes(flip(path.read_bytes()))
    with pytest.raises(EanetError, match=r"damaged or no archive: Bad CRC-32"):
        unpack(path)


def test_an_archive_without_images_says_so_and_where_cifar_goes(tmp_path):
    members = {"cifar-100-python/train": b"x", "cifar-100-python/file.txt~": b"", "read.txt": b"x"}
    path = write_archive(tmp_path / "cifar-100-python.tar.gz", members)
    with pytest.raises(EanetError, match=r"no image in .*given with --data-dir"):
        unpack(path)


def test_an_encrypted_zip_is_one_line(tmp_path):
    path = write_archive(tmp_path / "secret.zip", PETS)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(signature)
        content[at + place] |= 1  # the flag of encryption
    path.write_bytes(content)
    with pytest.raises(EanetError, match=r"secret\.zip is damaged.*password required"):
        unpack(path)


def test_errors_about_what_is_inside_name_the_archive(tmp_path):
    path = write_archive(tmp_path / "cats.zip", {"x/cats/1.png": png(), "x/loose.png": png()})
    with pytest.raises(EanetError, match=rf"only one class \(cats\) in {path}/x:"):
        open_source(path).load_splits(OPTIONS)


def test_an_archive_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "pets.zip", PETS)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(EanetError, match=r"cannot read .*pets\.zip \(Permission denied\)"):
        unpack(path)


def test_two_names_that_are_one_on_a_disk_do_not_replace_each_other(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "pets.tar", {"cats/1.png": png(), "cats/1.PNG": png()})
    copy = archive_module._copy

    def to_a_disk_without_case(source, target, most):
        count = copy(source, target, most)
        other = target.with_name(target.name.swapcase())
        if not other.exists():
            os.link(target, other)
        return count

    monkeypatch.setattr(archive_module, "_copy", to_a_disk_without_case)
    with pytest.raises(EanetError, match=r"holds 'cats/1.png' and 'cats/1.PNG', which are one"):
        unpack(path)
