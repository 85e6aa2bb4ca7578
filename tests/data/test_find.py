from __future__ import annotations

from pathlib import Path

import pytest

from eanet.data.find import find_images
from eanet.errors import EanetError


def test_files_folders_patterns_and_lists_are_found_in_the_order_given(
    photos: Path, tmp_path: Path
) -> None:
    inside = [photos / "blue" / f"{number:02}.png" for number in range(12)]
    listing = [f"{photos}/green/03.png\n", "\r\n", " spaced .png\r\n", "gone.png"]
    arguments = [str(photos / "red" / "01.png"), str(photos / "blue"), "-", f"{photos}/r*/0[23]*"]
    assert find_images(arguments, listing) == [
        photos / "red" / "01.png",
        *inside,
        photos / "green" / "03.png",
        Path(" spaced .png"),
        Path("gone.png"),
        photos / "red" / "02.png",
        photos / "red" / "03.png",
    ]


def test_what_a_pattern_finds_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-", "~x.png"):
        (tmp_path / name).touch()
    assert find_images(["*"]) == [Path("-"), Path("~x.png")]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    file = tmp_path / "a[1].png"
    file.touch()
    assert find_images([str(file)]) == [file]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to("nowhere")
    assert find_images([str(link)]) == [link]


def test_paths_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"^no such image or folder: gone\.png$"):
        find_images(["gone.png"])
    with pytest.raises(EanetError, match=r"^no image in "):
        find_images([str(tmp_path)])
