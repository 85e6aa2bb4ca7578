from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from eanet.cli import main
from eanet.console import notice
from eanet.errors import EanetError, nearest, unknown_name
from eanet.files import check_writable, lock_folder, replacing, user_path


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    error = unknown_name("model", "vti", ["vit", "keras_vit", "keras_eanet"])
    assert str(error) == "unknown model 'vti'; did you mean 'vit'?"
    assert error.exit_code == 2


def test_of_several_processes_each_says_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank, said in (("0", "eanet: error: "), ("1", "eanet: error: process 1: ")):
        monkeypatch.setenv("RANK", rank)
        assert main(["evaluate", "./gone"]) == 1
        assert capsys.readouterr().err.startswith(f"{said}no such run or model file: ./gone")


def test_a_name_like_no_other_is_answered_with_all_of_them() -> None:
    assert str(unknown_name("model", "zzz", ["b", "a"])) == "unknown model 'zzz'; known: a, b"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("--folds", ["--flip", "--fit", "--from"]),
        ("dim", ["mlp_dim", "embedding_dim"]),
        ("depth", ["drop_path"]),
        ("", ["a"]),
    ],
)
def test_nothing_is_suggested_that_is_not_close(name: str, known: list[str]) -> None:
    assert nearest(name, known) is None


def test_of_many_names_some_are_listed() -> None:
    error = str(unknown_name("class", "zzz", [f"class {i:03}" for i in range(100)]))
    assert error.endswith("class 018, class 019 and 80 more")


def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path) -> None:
    path = tmp_path / f"{'蟻' * 83}12.png"  # 255 bytes
    with replacing(path) as partial:
        partial.write_text("done")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["~/runs", Path("~/runs")])
def test_home_is_meant_by_a_tilde_unless_it_names_nobody(
    where: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ant")
    assert user_path(where) == Path("/home/ant/runs")
    assert user_path("~no-such-user/x") == Path("~no-such-user/x")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as partial:
        assert (partial.parent, partial.suffix) == (path.parent, path.suffix)
        partial.write_text("done")
        assert not path.exists()
    assert path.read_text() == "done"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    other = lock_folder(tmp_path)
    with (
        lock_folder(tmp_path),
        pytest.raises(EanetError, match=f"is using {tmp_path}; wait until it"),
    ):
        other.__enter__()
    with lock_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_nobody_is_kept_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    # As a process leaves it that was killed on another machine of a cluster.
    (tmp_path / ".lock").write_text("4242\nanother-machine\n")
    done = []
    with lock_folder(tmp_path):
        done.append(1)
    assert done


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError, OSError(28, "disk full")])
def test_an_interrupted_write_leaves_the_old_file_alone(
    tmp_path: Path, interruption: type[BaseException] | OSError
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    expected = EanetError if isinstance(interruption, OSError) else interruption
    with pytest.raises(expected) as raised, replacing(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise interruption
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    if expected is EanetError:
        assert str(raised.value) == f"cannot write {path}: disk full"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EanetError, match=r"cannot write .*new\.txt: "),
        replacing(tmp_path / "file" / "new.txt"),
    ):
        pytest.fail("the block must not be entered")


def test_a_notice_is_one_line_on_standard_error_exactly_as_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = "a [red]name[/red] in :bee:/folder " + "that is long " * 20
    notice(message)
    assert capsys.readouterr() == ("", message + "\n")


def test_a_folder_that_can_be_written_is_not_made_by_asking(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "new"):
        with pytest.raises(EanetError, match=f"^cannot write to {folder}: Not a directory$"):
            check_writable(folder)
