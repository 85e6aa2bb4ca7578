from __future__ import annotations

import threading
import time

import pytest

from eanet.data.parallel import AHEAD, in_parallel


def test_results_keep_the_order_of_the_things_whichever_is_done_first():
    def late_if_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(in_parallel(late_if_even, range(40))) == [n * n for n in range(40)]


def test_it_runs_ahead_of_the_reader_but_not_by_much():
    begun = []
    results = in_parallel(begun.append, iter(range(100 * AHEAD)))
    next(results)
    time.sleep(0.05)
    assert 1 < len(begun) <= AHEAD
    results.close()


def test_what_was_not_begun_when_the_reader_leaves_is_not_done():
    begun = []

    def slow(number: int) -> None:
        begun.append(number)
        time.sleep(0.02)

    results = in_parallel(slow, range(100), workers=1, ahead=50)
    next(results)
    results.close()
    assert len(begun) <= 4


def test_an_error_comes_in_its_turn_and_ends_the_threads():
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    before = threading.active_count()
    results = in_parallel(fail_at_three, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert threading.active_count() == before


def test_nothing_gives_nothing():
    assert list(in_parallel(str, [])) == []
