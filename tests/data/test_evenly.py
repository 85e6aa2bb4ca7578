"""What looks at some of many images looks at all parts of them."""

from __future__ import annotations

import pytest

from eanet.data.evenly import evenly


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, ""), (1, "a"), (2, "ag"), (3, "adg"), (4, "aceg"), (7, "abcdefg"), (9, "abcdefg")],
)
def test_some_are_spread_over_all_with_the_first_and_the_last(most: int, expected: str) -> None:
    assert "".join(evenly("abcdefg", most)) == expected
    assert evenly([], most) == []
