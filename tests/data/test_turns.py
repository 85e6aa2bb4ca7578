from __future__ import annotations

import threading

import pytest

from eanet.data.turns import Turns


def test_what_fits_is_admitted_at_once_and_what_does_not_waits_its_turn() -> None:
    turns, order, inside = Turns(10), [], threading.Event()
    waiting = threading.Event()

    def large() -> None:
        waiting.set()
        with turns.taken(6):
            order.append("large")
            inside.set()

    with turns.taken(5), turns.taken(5):
        thread = threading.Thread(target=large)
        thread.start()
        assert waiting.wait(10)
        assert not inside.wait(0.05)
        order.append("small")
    thread.join(10)
    assert order == ["small", "large"]


def test_what_is_larger_than_all_goes_alone_and_an_error_gives_the_turn_back() -> None:
    turns = Turns(10)
    with pytest.raises(ValueError, match="damaged"), turns.taken(99):
        raise ValueError("damaged")
    with turns.taken(10):
        pass
