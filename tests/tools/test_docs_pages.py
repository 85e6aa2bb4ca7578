"""The pages of the documentation that are written from the code name everything there is."""

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
    assert sorted(documented) == sorted(eanet.__all__)


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
