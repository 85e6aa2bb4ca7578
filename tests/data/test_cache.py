from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

import eanet
from eanet.data import cache
from eanet.data.cache import cached, cached_images, fingerprint
from eanet.errors import EanetError
from eanet.files import cache_dir
from eanet.ops import kernels

ROWS = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)


@pytest.fixture(autouse=True)
def entries(tmp_path, monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "entries"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def build(append):
    for row in ROWS:
        append(row)
    return {"skipped": [[1, "why"]]}


def never(_):
    raise AssertionError("built again")


def images_of(place, builder=build, state="s", purpose="images"):
    return cached_images(place, purpose, state, 2, builder)


def test_the_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("EANET_CACHE_DIR", "/a/b")
    assert cache_dir() == Path("/a/b")
    monkeypatch.delenv("EANET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/eanet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "eanet"


def test_without_a_home_no_folder_of_that_name_is_made(place, tmp_path, monkeypatch, capsys):
    # As in containers that run under a number without a name.
    monkeypatch.setattr(os.path, "expanduser", os.fspath)
    monkeypatch.delenv("EANET_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(images_of(place)[0], ROWS)
    assert "set EANET_CACHE_DIR to a folder; until then" in capsys.readouterr().err
    assert len(eanet.load_dataset("digits").train) == 1293
    monkeypatch.setattr(kernels, "_library", None)
    assert kernels.status().startswith("not in use: ")
    assert not (tmp_path / "~").exists()


def test_a_second_call_maps_what_the_first_has_built(place, entries, monkeypatch):
    monkeypatch.chdir(place.parent)
    for where, builder in ((place, build), (Path("place"), never)):
        images, details = images_of(where, builder)
        assert isinstance(images, np.memmap)
        assert np.array_equal(images, ROWS)
        assert details == {"skipped": [[1, "why"]]}
    assert len(list(entries.iterdir())) == 1


def test_a_changed_state_replaces_the_entry_and_other_purposes_and_places_keep_theirs(
    place, tmp_path, entries
):
    images_of(place)
    images_of(place, purpose="others")
    (tmp_path / "else").mkdir()
    images_of(tmp_path / "else")
    images, _ = images_of(place, lambda append: append(ROWS[4]) or {}, state="t")
    assert np.array_equal(images, ROWS[4:])
    assert len(list(entries.iterdir())) == 3
    for where, purpose in ((place, "others"), (tmp_path / "else", "images")):
        images_of(where, never, purpose=purpose)


def test_images_of_the_old_state_can_be_read_on_while_they_are_replaced(place):
    old, _ = images_of(place)
    images_of(place, lambda append: append(ROWS[4]) or {}, state="t")
    assert np.array_equal(old, ROWS)


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
        lambda _, details: details.write_text('{"state": "s"}'),
    ],
    ids=["cut", "empty", "size", "no images", "no details", "no JSON", "other JSON", "no content"],
)
def test_a_damaged_entry_is_built_again(place, entries, damage):
    images_of(place)
    (entry,) = entries.iterdir()
    damage(entry / "images.npy", entry / "details.json")
    images, _ = images_of(place)
    assert np.array_equal(images, ROWS)
    images_of(place, never)


@pytest.mark.parametrize("error", [KeyboardInterrupt, EanetError("no images")])
def test_a_build_that_stops_midway_leaves_what_was(place, entries, error):
    def stops(append):
        append(ROWS[0])
        raise error

    expected = type(error) if isinstance(error, Exception) else error
    with pytest.raises(expected):
        images_of(place, stops)
    assert list(entries.iterdir()) == []
    images_of(place)
    with pytest.raises(expected):
        images_of(place, stops, state="t")
    images_of(place, never)


def test_an_entry_that_another_process_stored_meanwhile_is_used(place, entries):
    def slow(append):
        images_of(place)  # the other process
        build(append)
        return {"skipped": "mine"}

    images, details = images_of(place, slow)
    assert np.array_equal(images, ROWS)
    assert details == {"skipped": [[1, "why"]]}
    assert len(list(entries.iterdir())) == 1


def test_an_entry_that_appears_in_the_very_moment_is_used_too(place, monkeypatch):
    def too_late(self, target):
        monkeypatch.undo()
        monkeypatch.setenv("EANET_CACHE_DIR", str(target.parent.parent))
        replace(self, target)  # the other process
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", too_late)
    assert np.array_equal(images_of(place)[0], ROWS)


def test_an_entry_that_is_removed_while_it_is_read_is_said(place):
    def gone(folder, _):
        raise FileNotFoundError(folder)

    with pytest.raises(EanetError, match="vanished while in use; run again"):
        cached(place, "any", "s", lambda _: {}, gone)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(place, entries):
    def full(append):
        append(ROWS[0])
        raise OSError(28, "No space left on device")

    with pytest.raises(EanetError, match=r"No space left on device.*EANET_CACHE_DIR") as caught:
        images_of(place, full)
    assert str(entries.parent) in str(caught.value)
    assert list(entries.iterdir()) == []


def test_without_a_cache_the_images_stay_in_memory_and_a_notice_says_so(
    place, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EANET_CACHE_DIR", str(tmp_path / "file"))
    images, details = images_of(place)
    assert np.array_equal(images, ROWS)
    assert details["skipped"] == [[1, "why"]]
    told = capsys.readouterr().err
    assert "set EANET_CACHE_DIR" in told
    assert "images stay in memory" in told
    images_of(tmp_path / "other folder")
    assert capsys.readouterr().err == ""


def test_entries_of_folders_that_are_gone_and_leftovers_of_killed_runs_are_removed(
    place, tmp_path, entries
):
    (tmp_path / "gone").mkdir()
    images_of(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for name, age in (("tmp-old", 2 * cache.STALE_AFTER_S), ("tmp-new", 60)):
        (entries / name).mkdir(parents=True)
        file = entries / name / "images.npy"
        file.write_bytes(b"x")
        for path in (file, entries / name):
            os.utime(path, (time.time() - age,) * 2)
    (entries / "not ours").touch()
    images_of(place)
    left = {path.name for path in entries.iterdir()} - {"tmp-new", "not ours"}
    assert len(left) == 1
    details = json.loads((entries / left.pop() / "details.json").read_text())
    assert details["place"] == str(place)


def test_a_file_that_may_be_read_again_changes_the_fingerprint(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    denied, allowed = (
        monkeypatch.setattr(os, "access", lambda *_, answer=answer: answer)
        or fingerprint([tmp_path / "a.png"], tmp_path)
        for answer in (False, True)
    )
    assert denied != allowed


def test_the_fingerprint_follows_names_sizes_times_and_whatever_replaces_a_file(tmp_path):
    def state(root, *others):
        return fingerprint(sorted(root.rglob("*.png")), root, *others)

    def replaced():
        """By one of the same size and date, as a file manager or `rsync -t` does."""
        other, old = tmp_path / "other.png", moved / "a.png"
        other.write_bytes(b"x" * old.stat().st_size)
        os.utime(other, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
        other.replace(old)

    def rewritten():
        """In place, with the date of before."""
        old = moved / "a.png"
        times = old.stat().st_atime_ns, old.stat().st_mtime_ns
        old.write_bytes(b"y" * old.stat().st_size)
        os.utime(old, ns=times)

    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "a.png").write_bytes(b"a")
    (moved / "b.png").write_bytes(b"b")
    known = {state(moved)}
    assert state(moved) in known
    assert state(moved, "more") not in known

    changes = (
        replaced,
        rewritten,
        lambda: os.utime(moved / "a.png", (1, 1)),
        lambda: (moved / "a.png").write_bytes(b"aa"),
        lambda: (moved / "a.png").rename(moved / "c.png"),
        lambda: (moved / "b.png").unlink(),
        lambda: (moved / "link.png").symlink_to("nowhere"),
    )
    for change in changes:
        change()
        assert state(moved) not in known
        known.add(state(moved))
