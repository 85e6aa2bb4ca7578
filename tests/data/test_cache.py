from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from eanet.data import cache
from eanet.data.cache import cache_dir, cached_images, files_key
from eanet.errors import EanetError

ROWS = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "folders"


def build(append):
    for row in ROWS:
        append(row)
    return {"skipped": [[1, "why"]]}


def never(_):
    raise AssertionError("built again")


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", "/a/b")
    assert cache_dir() == Path("/a/b")
    monkeypatch.delenv("EANET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/eanet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "eanet"


def test_a_second_call_maps_what_the_first_has_built(folder):
    for builder in (build, never):
        images, details = cached_images("key", 2, builder)
        assert isinstance(images, np.memmap)
        assert np.array_equal(images, ROWS)
        assert details == {"skipped": [[1, "why"]]}
    assert [path.name for path in folder.iterdir()] == ["key"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda images, _: os.truncate(images, images.stat().st_size - 1),
        lambda images, _: images.write_bytes(b""),
        lambda images, _: np.save(images, ROWS[:, :1]),
        lambda images, _: images.unlink(),
        lambda _, details: details.unlink(),
        lambda _, details: details.write_text("{"),
        lambda _, details: details.write_text("[]"),
    ],
    ids=["cut", "empty", "other size", "no images", "no details", "no JSON", "other JSON"],
)
def test_a_damaged_entry_is_built_again(folder, damage):
    cached_images("key", 2, build)
    damage(folder / "key" / "images.npy", folder / "key" / "details.json")
    images, _ = cached_images("key", 2, build)
    assert np.array_equal(images, ROWS)
    cached_images("key", 2, never)


@pytest.mark.parametrize("error", [KeyboardInterrupt, EanetError("no images")])
def test_a_build_that_stops_midway_leaves_nothing(folder, error):
    def stops(append):
        append(ROWS[0])
        raise error

    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        cached_images("key", 2, stops)
    assert list(folder.iterdir()) == []


def test_an_entry_that_another_process_stored_meanwhile_is_used(folder):
    def slow(append):
        cached_images("key", 2, build)  # the other process
        build(append)
        return {"skipped": "mine"}

    images, details = cached_images("key", 2, slow)
    assert np.array_equal(images, ROWS)
    assert details == {"skipped": [[1, "why"]]}
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_an_entry_that_is_removed_while_it_is_built_is_said(folder, monkeypatch):
    monkeypatch.setattr(cache, "_open", lambda *_: None)
    with pytest.raises(EanetError, match="vanished"):
        cached_images("key", 2, build)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(folder):
    def full(append):
        append(ROWS[0])
        raise OSError(28, "No space left on device")

    with pytest.raises(EanetError, match=r"No space left on device.*EANET_CACHE_DIR") as caught:
        cached_images("key", 2, full)
    assert str(folder.parent) in str(caught.value)
    assert list(folder.iterdir()) == []


def test_without_a_cache_the_images_stay_in_memory_and_a_notice_says_so(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "file"))
    images, details = cached_images("key", 2, build)
    assert np.array_equal(images, ROWS)
    assert details["skipped"] == [[1, "why"]]
    assert "images stay in memory" in capsys.readouterr().err


def test_leftovers_of_killed_runs_are_removed_when_old(folder):
    for name, age in (("tmp-old", 2 * cache.STALE_AFTER_S), ("tmp-new", 60)):
        (folder / name).mkdir(parents=True)
        file = folder / name / "images.npy"
        file.write_bytes(b"x")
        os.utime(file, (time.time() - age,) * 2)
    cached_images("key", 2, build)
    assert {path.name for path in folder.iterdir()} == {"key", "tmp-new"}


def test_a_file_that_may_be_read_again_changes_the_key(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    denied, allowed = (
        monkeypatch.setattr(os, "access", lambda *_, answer=answer: answer)
        or files_key(tmp_path, [tmp_path / "a.png"], 8)
        for answer in (False, True)
    )
    assert denied != allowed


def test_the_key_follows_names_sizes_times_and_image_size_but_not_the_place(tmp_path):
    def key(root, image_size=8):
        return files_key(root, sorted(root.rglob("*.png")), image_size)

    first, moved = tmp_path / "first", tmp_path / "moved"
    first.mkdir()
    (first / "a.png").write_bytes(b"a")
    (first / "b.png").write_bytes(b"b")
    shutil.copytree(first, moved)
    known = {key(first)}
    assert key(moved) in known
    assert key(first, 9) not in known

    changes = (
        lambda: os.utime(moved / "a.png", (1, 1)),
        lambda: (moved / "a.png").write_bytes(b"aa"),
        lambda: (moved / "a.png").rename(moved / "c.png"),
        lambda: (moved / "b.png").unlink(),
        lambda: (moved / "link.png").symlink_to("nowhere"),
    )
    for change in changes:
        change()
        assert key(moved) not in known
        known.add(key(moved))
