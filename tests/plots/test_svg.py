from __future__ import annotations

import re
from functools import partial

from eanet.plots.curves import plot_curves
from eanet.plots.svg import inline_svg
from tests.support.pictures import history


def test_a_drawing_for_a_page_has_the_colours_and_fonts_of_the_page() -> None:
    svg = inline_svg(lambda path: plot_curves(history(5), path, best_epoch=2), 'loss & "more"')
    assert svg.startswith('<svg role="img" aria-label="loss &amp; &#34;more&#34;" width="')
    assert svg.rstrip().endswith("</svg>")
    assert "var(--right)" in svg
    assert not re.search("#[0-9a-f]{6}|font-family|xmlns|<style|<metadata|://", svg)
    assert "validation" in svg, "text stays text"
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', svg))
    assert used == set(re.findall(r' id="([^"]*)"', svg)) != set()


def test_two_drawings_in_a_page_share_no_id_and_the_same_is_drawn_alike_again() -> None:
    def drawn(label: str) -> str:
        return inline_svg(partial(plot_curves, history(5)), label)

    def ids(label: str) -> set[str]:
        return set(re.findall(r' id="([^"]*)"', drawn(label)))

    assert ids("x")
    assert not ids("x") & ids("y")
    assert drawn("x") == drawn("x")
