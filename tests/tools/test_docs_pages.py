"""The pages of the documentation that are written from the code name everything there is."""

from inspect import isfunction

import pytest

import eanet
from eanet.cli import build_parser
from eanet.config import TrainSettings

pages = pytest.importorskip("tools.docs_pages", reason="mkdocs is not installed")


def test_every_setting_has_its_line_and_default() -> None:
    text = "\n".join(pages.settings_page())
    for name, field in TrainSettings.model_fields.items():
        (line,) = [row for row in text.splitlines() if row.startswith(f"| `{name}` |")]
        assert str(field.default).lower() in line.lower()


def test_every_public_name_is_documented_once() -> None:
    text = "\n".join(pages.python_page())
    documented = [line.rpartition(".")[2] for line in text.splitlines() if line.startswith("::: ")]
    returned = [path.rpartition(".")[2] for path in pages.RETURNED]
    assert sorted(documented) == sorted([*eanet.__all__, *returned])


def test_what_a_public_function_returns_is_documented() -> None:
    text = "\n".join(pages.python_page())
    functions = [f for f in (getattr(eanet, name) for name in eanet.__all__) if isfunction(f)]
    functions.append(eanet.Predictor.predict)
    foreign = {"None", "bool", "FastAPI", "Path"}
    for returned in {function.__annotations__["return"] for function in functions} - foreign:
        assert f".{returned}\n" in text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<td><code>--ema 1e-3</code></td>",
         '<td><code><span class="whole">--ema</span> <span class="whole">1e-3</span></code></td>'),
        ("<td>a-b <code>predictor.model(x)</code></td>",
         "<td>a-b <code>predictor.<wbr>model(<wbr>x)</code></td>"),
        ("<td><code>learning_rate</code></td>", "<td><code>learning_rate</code></td>"),
        ("<p><code>--ema</code></p>", "<p><code>--ema</code></p>"),
    ],
)  # fmt: skip
def test_words_of_code_in_tables_stay_whole(html: str, expected: str) -> None:
    assert pages.on_page_content(html, page=None) == expected


def test_every_command_shows_its_help() -> None:
    text = "\n".join(pages.commands_page())
    for name, command in pages._commands(build_parser()):
        assert f"## eanet {name}\n" in text
        assert command.format_usage().split()[1] in text


def test_every_model_shows_its_settings() -> None:
    text = "\n".join(pages.models_page())
    for name in ("eanet_tiny", "keras_eanet", "vit"):
        assert f"## {name}\n" in text
    assert "| `attention_blocks` | `1` |" in text
