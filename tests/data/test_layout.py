from __future__ import annotations

import os
from pathlib import Path

import pytest

from eanet.data.folder import holds_class, read_folder
from eanet.data.layout import list_images
from eanet.errors import EanetError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(folder: Path) -> dict[str, list[str]]:
    return {
        name: [str(file.relative_to(folder)) for file in files]
        for name, files in read_folder(folder).splits["train"].images.items()
    }


def test_what_tools_leave_behind_is_no_class(tmp_path):
    touch(tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg")
    for folder in (".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git"):
        touch(tmp_path / folder / "x.jpg", tmp_path / "a" / folder / "x.jpg")
    touch(tmp_path / "a" / "._x.jpg")
    assert listed(tmp_path) == {"a": ["a/x.jpg"], "b": ["b/x.jpg"]}


def test_links_are_followed_but_never_up_nor_twice(tmp_path):
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    touch(outside / "far.jpg", root / "a" / "near.jpg", root / "a" / "deep" / "x.jpg")
    touch(root / "b" / "y.jpg")
    for link, target in [
        ("c", "../outside"),  # a class folder elsewhere
        ("up", "."),
        ("a/up", ".."),
        ("a/around", "../../root/a"),
        ("a/again", "deep"),
        ("a/elsewhere", "../../outside"),
        ("a/file.jpg", "../b/y.jpg"),
        ("a/broken.jpg", "nowhere"),
        ("a/itself.jpg", "itself.jpg"),
    ]:
        (root / link).symlink_to(target)
    assert listed(root) == {
        "a": [
            "a/broken.jpg",
            "a/deep/x.jpg",
            "a/elsewhere/far.jpg",
            "a/file.jpg",
            "a/itself.jpg",
            "a/near.jpg",
        ],
        "b": ["b/y.jpg"],
        "c": ["c/far.jpg"],
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_left_out_since_reading_it_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    touch(tmp_path / "x.jpg")
    assert list_images(tmp_path) == [tmp_path / "x.jpg"]


def test_odd_names_are_names(tmp_path):
    names = ["a b", "ünï", "[1]", "-x", "日本", "x.jpg", "a\nb", "%s"]
    for name in names:
        touch(tmp_path / name / f"{name}.JPG")
    assert sorted(read_folder(tmp_path).splits["train"].images) == sorted(names)


def test_an_unreadable_folder_is_one_line_where_its_classes_are_asked_for(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(EanetError, match=r"cannot read .* \(Permission denied\)"):
        holds_class(tmp_path, tmp_path / "a")
