from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from eanet.pages import page as module
from eanet.pages.page import asset, render_page


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a section of its own."""
    folder = tmp_path / "somewhere"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    text = "<p>{{ words }}</p>{{ share|fmt('.1%') }} {{ flag|setting }} {{ nothing|setting }}"
    (folder / "templates" / "own.html").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield "somewhere"
    module.templates.cache_clear()


def test_values_are_text_and_markup_is_markup(package: str, tmp_path: Path) -> None:
    values = {"title": "<t>", "subtitle": "&", "share": 0.1234, "flag": True, "nothing": None}
    path = render_page(
        tmp_path / "a.html", package, {"own": "<Own>"}, words="<script>'\"", **values
    )
    text = path.read_text()
    assert "<p>&lt;script&gt;&#39;&#34;</p>12.3% yes none" in text
    assert "<title>&lt;t&gt;</title>" in text
    assert '<a href="#own">&lt;Own&gt;</a>' in text
    path = render_page(path, package, {"own": "Own"}, words=Markup("<b>bold</b>"), **values)
    assert "<p><b>bold</b></p>" in path.read_text()


def test_a_value_that_is_missing_is_an_error_and_leaves_no_page(
    package: str, tmp_path: Path
) -> None:
    with pytest.raises(UndefinedError, match="words"):
        render_page(tmp_path / "a.html", package, {"own": "Own"}, title="t", subtitle="")
    assert not (tmp_path / "a.html").exists()


def test_heads_of_a_phones_table_stand_apart() -> None:
    phone = asset("page.css").partition("@media (max-width: 46rem) {\n  section")[2]
    rule = phone.partition(".whole :is(td, tbody th, thead span) {")[2].partition("}")[0]
    left, right = re.findall(r"padding-(?:left|right): (\.\d+)rem", rule)
    assert float(left) + float(right) >= 0.5, "wider than the space between two words"
