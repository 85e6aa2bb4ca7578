from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from eanet import console
from eanet.cli import main
from eanet.cli.output import print_table, stdout, write_rows
from eanet.console import notice, progress_bar, report
from eanet.files import write_csv
from eanet.text import cell, in_markdown, shown
from tests.support.screen import Screen

HOSTILE = "a\x1b]0;TITLE\x07\x1b[2J\x9b31m\u202egpj.exe\r\n\u2028\x7f"
HARMLESS = r"a\x1b]0;TITLE\x07\x1b[2J\x9b31m\u202egpj.exe\x0d\x0a\u2028\x7f"


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert shown(HOSTILE) == HARMLESS
    assert shown("\udc9b31m caf\udce9") == "\\x9b31m caf\udce9"
    for text in ("café", "日本", "👩‍🚀", "می‌خواهم", "a\\b", "%s [red]"):
        assert shown(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('=HYPERLINK("http:x")', '\'=HYPERLINK("http:x")'),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-x.png", "'-x.png"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\x09=1"),
        ("\r=1", "'\\x0d=1"),
        ("\uff1d1", "'\uff1d1"),
        (Path("=a.png"), "'=a.png"),
        ("a=b", "a=b"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        (-0.5, -0.5),
        (np.float32(-1), np.float32(-1)),
        (3, 3),
        ("", ""),
        ("a\x1bb", "a\\x1bb"),
    ],
)
def test_what_a_spreadsheet_would_compute_is_text(value: object, expected: object) -> None:
    assert cell(value) == expected
    assert type(cell(value)) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vit:depth=2 of my_run, 3.5 % (<0.001)", "vit:depth=2 of my_run, 3.5 % (<0.001)"),
        ("a|b", r"a\|b"),
        ("![x](http://x.org) <img src=x>", r"!\[x\](http://x.org) \<img src=x>"),
        ("`a` *b* _c_ ~d~ &lt; a&b", r"\`a\` \*b\* \_c\_ \~d\~ \&lt; a&b"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("1. FC", r"1\. FC"),
        ("a\n\n# b\x1b[2J", r"a\\x0a\\x0a# b\\x1b\[2J"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, expected: str) -> None:
    assert in_markdown(text) == expected


def test_every_place_that_prints_shows_control_characters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice(HOSTILE)
    report(HOSTILE)
    stdout().print(HOSTILE)
    print_table(["class"], [[HOSTILE]])
    write_rows([[HOSTILE, 1]])
    main(["evaluate", HOSTILE])
    main([HOSTILE])
    out, err = capsys.readouterr()
    for line in (*out.splitlines(), *err.splitlines()):
        assert line == shown(line)
    assert out.count(HARMLESS) == 3
    assert err.count(HARMLESS) == 2
    write_csv(tmp_path / "x.csv", ["name"], [[HOSTILE], ["=1+1"]])
    assert (tmp_path / "x.csv").read_text() == f"name\n{HARMLESS}\n'=1+1\n"


def test_a_progress_bar_is_for_terminals_and_shows_control_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(console, "console", terminal)
    with progress_bar() as bar:  # a file, whatever FORCE_COLOR says
        bar.add_task(HOSTILE, total=1)
    assert screen.getvalue() == ""
    screen = Screen()
    monkeypatch.setattr(terminal, "file", screen)
    with progress_bar() as bar:
        bar.add_task(HOSTILE, total=1)
    assert HARMLESS in screen.getvalue()
    assert "TITLE\x07" not in screen.getvalue()
    screen = Screen()
    dumb = Console(file=screen, force_terminal=True, _environ={"TERM": "dumb"})
    monkeypatch.setattr(console, "console", dumb)
    with progress_bar() as bar:
        bar.add_task(HOSTILE, total=1)
    assert screen.getvalue() == "", "it cannot draw over a line"


@pytest.fixture
def hostile_photos(tmp_path: Path) -> Path:
    for number, label in enumerate(["\x1b]0;TITLE\x07", '=HYPERLINK("http:x")']):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for i in range(6):
            colour = (40 * i, 100 * number, 90)
            Image.new("RGB", (12, 12), colour).save(folder / f"{i}\x1b[31m.png")
        (folder / "broken\x9b.png").write_bytes(b"x")
    return tmp_path / "photos"


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_predict_shows_what_files_are_called(
    form: str, hostile_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", str(hostile_photos), "--format", form])
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\x9b" not in out + err
    escape = r"\u001b" if form == "json" else r"\x1b"
    assert out.count(f"{escape}[31m.png") >= 12


def test_datasets_shows_what_files_and_classes_are_called(
    hostile_photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    main(["datasets", str(hostile_photos), "--output", str(tmp_path / "look")])
    out, err = capsys.readouterr()
    assert "Glyph" not in err
    assert r"\x1b]0;TITLE\x07" in out
    assert not {"\x1b", "\x07", "\x9b"} & set(out + err)
    with (tmp_path / "look" / "problems.csv").open(newline="") as file:
        cells = [text for row in csv.reader(file) for text in row]
    assert all(text == shown(text) for text in cells)
    assert any(text.startswith("'=HYPERLINK") for text in cells)


def test_json_is_exact(hostile_photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", str(hostile_photos), "--format", "json"])
    named = {json.loads(line)["image"] for line in capsys.readouterr().out.splitlines()}
    assert named == {str(path) for path in hostile_photos.rglob("*m.png")}
