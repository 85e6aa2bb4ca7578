from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from eanet import files
from eanet.config import load_recipe
from eanet.errors import EanetError
from eanet.files import read_text
from eanet.parsing import checked, parse_json, parse_yaml

BOMB = "\n".join(
    [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
)
HOSTILE = {
    "references": "a: &a [x, x]\n" + BOMB,
    "a reference to itself": "a: &a [*a]",
    "depth": "a: " + "[" * 5000 + "]" * 5000,
    "depth by blocks": "".join(f"{' ' * i}a:\n" for i in range(500)),
    "size": "a: [" + "x," * 200_000 + "]",
    "a sexagesimal number": "a: 1" + ":59" * 100_000,
    "a decimal number": "a: " + "9" * 5000,
    "a date that is none": "a: 2026-13-45",
    "a time zone that is none": "a: 2026-01-01 00:00:00 +99:99",
    "an object": "a: !!python/object/apply:os.getcwd []",
    "a key that is a list": "? [a]\n: b",
    "binary": "a: !!binary '*'",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_is_refused_in_one_line_and_little_time(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"epochs:\n{HOSTILE[kind]}" if kind == "references" else HOSTILE[kind])
    began = time.process_time()
    with pytest.raises(EanetError, match=r"x\.yaml") as caught:
        load_recipe(str(file))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert time.process_time() - began < 20


def test_a_file_of_settings_of_many_classes_is_read() -> None:
    names = [f"class {i}" for i in range(22_000)]
    text = "data:\n  classes:\n" + "".join(f"  - {name}\n" for name in names)
    assert parse_yaml(text, "x")["data"]["classes"] == names


def test_a_text_that_is_larger_than_any_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_TEXT_BYTES", 10)
    (tmp_path / "x").write_text("1234567890")
    assert read_text(tmp_path / "x") == "1234567890"
    (tmp_path / "x").write_text("12345678901")
    with pytest.raises(EanetError, match=r"x: it has more than 10 bytes"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000, b"\xff"])
def test_what_is_no_json_is_one_line(text: str | bytes) -> None:
    with pytest.raises(EanetError, match="x is not JSON: ") as caught:
        parse_json(text, "x")
    assert "\n" not in str(caught.value)


def test_what_has_another_type_is_named_with_its_place() -> None:
    class Kind(BaseModel):
        a: list[int]

    assert checked(Kind, {"a": [1]}, "x.json").a == [1]
    for content, message in (({"a": [1, "b"]}, r"a\.1: input"), ({}, "a: field"), (5, "input")):
        with pytest.raises(EanetError, match=rf"^x\.json has been changed or damaged: {message}"):
            checked(Kind, content, "x.json")
