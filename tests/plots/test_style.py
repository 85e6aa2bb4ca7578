from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure

from eanet.console import notice_once
from eanet.errors import EanetError
from eanet.plots.confusion import plot_confusion
from eanet.plots.curves import plot_curves
from eanet.plots.names import shorten
from eanet.plots.style import picture, smoothing, text_width
from tests.support.pictures import CLASSES, MATRIX, history


def draw(path: Path) -> Path:
    return plot_confusion(MATRIX, CLASSES, path)


def settings() -> dict[str, object]:
    """The caller's settings but for the backend, which is chosen by the mere reading of it."""
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_pyplot_is_never_used(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from eanet.plots.curves import plot_curves\n"
        "assert 'matplotlib' not in sys.modules, 'importing must be cheap'\n"
        "plot_curves([{'epoch': 1, 'train_loss': 1.0}], Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "c.png"], check=True)


def test_the_settings_of_the_caller_neither_matter_nor_change(tmp_path: Path) -> None:
    plain = draw(tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"text.color": "red", "font.size": 30, "savefig.dpi": 10}):
        before = settings()
        assert draw(tmp_path / "b.png").read_bytes() == plain
        assert settings() == before


def test_characters_that_no_font_has_are_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    notice_once.cache_clear()
    for name in ("a.png", "b.png"):
        with picture(tmp_path / name, 2, 1, dpi=50) as figure:
            figure.text(0, 0, "\ue123 \ue456")  # private: no font has them
            warnings.warn("another", UserWarning, stacklevel=1)
    assert capsys.readouterr().err.count("are boxes in pictures") == 1
    assert {str(warning.message) for warning in recwarn} == {"another"}


def test_pictures_drawn_in_threads_are_the_same(tmp_path: Path) -> None:
    before = settings()
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(draw, [tmp_path / f"{i}.png" for i in range(4)]))
    assert len({file.read_bytes() for file in files}) == 1
    assert settings() == before


def test_drawing_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plot_curves(history(2), tmp_path / "c.png", title="a run", best_epoch=2)
    assert not caplog.records


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(_: Figure, target: Path, **__: str) -> None:
        target.write_bytes(b"half a pict")
        raise OSError(28, "No space left on device")

    path = tmp_path / "confusion.png"
    path.write_bytes(b"the old picture")
    monkeypatch.setattr(Figure, "savefig", fill_the_disk)
    with pytest.raises(EanetError, match=r"cannot write .*confusion\.png: No space left"):
        draw(path)
    assert path.read_bytes() == b"the old picture"
    assert [file.name for file in tmp_path.iterdir()] == ["confusion.png"]


def test_only_the_picture_is_left_behind(tmp_path: Path) -> None:
    draw(tmp_path / "c.png")
    assert [file.name for file in tmp_path.iterdir()] == ["c.png"]


@pytest.fixture
def in_a_picture(tmp_path: Path) -> Callable[[str, float], str]:
    def cut(text: str, inches: float) -> str:
        with picture(tmp_path / "p.png", 1, 1, dpi=50):
            short = shorten(text, 10, inches)
            assert short == text or text_width(short, 10) <= inches or len(short) == 2
            return short

    return cut


@pytest.mark.parametrize("inches", [0.01, 0.5, 1.0])
def test_long_names_end_in_an_ellipsis(
    in_a_picture: Callable[[str, float], str], inches: float
) -> None:
    short = in_a_picture("W" * 100, inches)
    assert short.startswith("W")
    assert short.endswith("…")


def test_short_names_stay_whole(in_a_picture: Callable[[str, float], str]) -> None:
    assert in_a_picture("ant", 2.0) == "ant"


@pytest.mark.parametrize(("side", "square"), [(8, True), (32, True), (33, False), (224, False)])
def test_only_tiny_images_keep_their_square_pixels(side: int, *, square: bool) -> None:
    assert (smoothing(side) == "nearest") == square
