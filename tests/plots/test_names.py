from __future__ import annotations

from itertools import pairwise

from eanet.plots.names import cut_names


def cut(names: list[str], letters: int) -> list[str]:
    return list(cut_names(names, lambda text: len(text) <= letters).values())


def test_names_that_fit_stay() -> None:
    assert cut(["ant", "a bee"], 5) == ["ant", "a bee"]


def test_long_names_are_cut_at_their_end() -> None:
    assert cut(["hummingbird", "ant"], 6) == ["hummi…", "ant"]
    assert cut(["golden retriever"], 8) == ["golden…"]


def test_names_that_begin_alike_keep_their_ends() -> None:
    assert cut(["golden retriever", "golden rhino"], 9) == ["gold…ever", "gold…hino"]


def test_names_that_differ_in_the_middle_are_numbered() -> None:
    assert cut(["left wing of it", "left tail of it"], 6) == ["left…1", "left…2"]


def test_all_names_stay_different_and_fit() -> None:
    names = [f"{'x' * 20}{number}{'y' * 20}" for number in range(300)]
    shown = cut(names, 12)
    assert len(set(shown)) == 300
    assert max(map(len, shown)) <= 12


def test_names_from_right_to_left_do_not_turn_the_words_around_them() -> None:
    assert cut(["ant", "נמלה", "نحلة صغيرة"], 6) == ["ant", "\u2068נמלה\u2069", "\u2068نحلة…\u2069"]


def test_control_characters_are_shown_so_that_no_name_takes_two_lines_or_turns_the_others() -> None:
    assert cut(["a\nb", "x\u202ey", "n\0l"], 9) == [r"a\x0ab", r"x\u202ey", r"n\x00l"]
    assert cut(["a\nb", r"a\x0ab"], 4) == ["a\\…1", "a\\…2"], "different names stay different"


def test_a_room_too_small_for_anything_leaves_a_letter() -> None:
    assert cut(["ant", "bee"], 0) == ["a…", "b…"]
    assert all(a != b for a, b in pairwise(sorted(cut(["ant", "art"], 0))))
