from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from eanet.pages import page as module
from eanet.pages.page import render_page


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
