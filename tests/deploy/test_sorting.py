from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from eanet.deploy.sorting import copy_into, has_other_copy
from eanet.errors import EanetError


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, text: str) -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_the_original_stays_and_its_date_comes_along(write, tmp_path):
    image = write("x.jpg", "1")
    os.utime(image, (5, 5))
    copy = copy_into(tmp_path / "out", "bees", image)
    assert copy == tmp_path / "out" / "bees" / "x.jpg"
    assert copy.read_text() == image.read_text() == "1"
    assert copy.stat().st_mtime == 5


def test_names_that_collide_are_numbered_and_nothing_is_overwritten(write, tmp_path):
    out = tmp_path / "out"
    made = [copy_into(out, "bees", write(f"{i}/x.tar.jpg", str(i))) for i in range(3)]
    assert [path.name for path in made] == ["x.tar.jpg", "x.tar-2.jpg", "x.tar-3.jpg"]
    assert [path.read_text() for path in made] == ["0", "1", "2"]


def test_doing_it_again_copies_nothing_twice(write, tmp_path):
    images = [write("a/x.jpg", "1"), write("b/x.jpg", "2")]
    first = [copy_into(tmp_path / "out", "bees", image) for image in images]
    assert [copy_into(tmp_path / "out", "bees", image) for image in images] == first
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 2


def test_a_copy_that_an_earlier_answer_made_is_seen(write, tmp_path):
    images = [write("a/x.jpg", "1"), write("b/x.jpg", "2")]
    out = tmp_path  # with the folder of the originals in it
    bees = [copy_into(out, "bees", image) for image in images]
    assert not any(map(has_other_copy, images, bees))
    ant = copy_into(out, "ants", images[1])
    assert has_other_copy(images[1], ant)
    assert not has_other_copy(images[0], bees[0])


def test_of_a_link_the_image_is_copied_and_a_link_in_the_way_is_kept(write, tmp_path):
    image = write("x.jpg", "1")
    link = image.with_name("link.jpg")
    link.symlink_to("x.jpg")
    (tmp_path / "out" / "bees").mkdir(parents=True)
    (tmp_path / "out" / "bees" / "link.jpg").symlink_to("nowhere")
    copy = copy_into(tmp_path / "out", "bees", link)
    assert copy.name == "link-2.jpg"
    assert not copy.is_symlink()
    assert copy.read_text() == "1"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("../../etc", "_.._etc"), ("a/b", "a_b"), ("..", "_"), ("", "_"), ("C:\\x", "C__x")],
)
def test_no_class_name_leads_out_of_the_folder(write, tmp_path, name, folder):
    copy = copy_into(tmp_path / "out", name, write("x.jpg", "1"))
    assert copy.parent == tmp_path / "out" / folder


def test_folders_are_named_in_utf8_where_names_of_files_are_ascii(write, tmp_path):
    image = write("x.jpg", "1")
    call = "from pathlib import Path; from eanet.deploy.sorting import copy_into\n"
    call += f"copy_into(Path({str(tmp_path)!r}), 'K\\xe4fer', Path({str(image)!r}))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", call], check=True, env={**os.environ, **plain})
    assert (tmp_path / "Käfer" / "x.jpg").is_file()


def test_what_cannot_be_copied_is_one_line_and_leaves_nothing(write, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    image = write("x.jpg", "1")
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(EanetError, match=r"cannot copy \S+x\.jpg to \S+bees: No space left"):
        copy_into(tmp_path / "out", "bees", image)
    assert list((tmp_path / "out" / "bees").iterdir()) == []

    def full_at_last(_: object, copy: BinaryIO) -> None:
        copy.write(b"1")  # which is written when the file is closed
        os.close(copy.fileno())

    monkeypatch.setattr("shutil.copyfileobj", full_at_last)
    with pytest.raises(EanetError, match="cannot copy"):
        copy_into(tmp_path / "out", "bees", image)
    assert list((tmp_path / "out" / "bees").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(EanetError, match="cannot copy"):
        copy_into(tmp_path / "file", "bees", image)


def test_a_killed_process_leaves_no_half_copy_and_what_it_left_is_removed(write, tmp_path):
    image, out = write("x.jpg", "12"), tmp_path / "out"
    call = f"""if True:
        import os, shutil
        from pathlib import Path
        from eanet.deploy.sorting import copy_into

        def killed(source, copy):
            copy.write(source.read(1))
            copy.flush()
            os._exit(9)

        shutil.copyfileobj = killed
        copy_into(Path({str(out)!r}), "bees", Path({str(image)!r}))"""
    assert subprocess.run([sys.executable, "-c", call], check=False).returncode == 9
    assert not [file for file in (out / "bees").iterdir() if not file.name.startswith(".")]
    assert copy_into(out, "bees", image).read_text() == "12"
    assert [file.name for file in (out / "bees").iterdir()] == ["x.jpg"]


def test_copies_that_are_made_at_once_take_names_of_their_own(write, tmp_path, monkeypatch):
    images, copy = [write("a/x.jpg", "1"), write("b/x.jpg", "2")], shutil.copyfileobj

    def meanwhile(*files: BinaryIO) -> None:
        monkeypatch.setattr("shutil.copyfileobj", copy)
        copy_into(tmp_path / "out", "bees", images[1])
        copy(*files)

    monkeypatch.setattr("shutil.copyfileobj", meanwhile)
    copies = [copy_into(tmp_path / "out", "bees", image) for image in images]
    assert [(file.name, file.read_text()) for file in copies] == [("x-2.jpg", "1"), ("x.jpg", "2")]
