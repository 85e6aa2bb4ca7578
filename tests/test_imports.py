"""Imports go one way: `ROOMS`, from what everybody may use to the command line, is the order."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

# A room imports from itself and from rooms of lower levels, not from others of its own level.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("version", "elsewhere", "interruption", "notebooks", "tables", "text", "unfinished"),
    ("errors",),
    ("console", "files", "parsing", "private_files", "process"),
    ("settings", "memory", "threads"),
    ("config", "device", "pages"),
    ("ops", "model_files", "options"),
    ("models",),
    ("data",),
    ("training", "deploy"),
    ("metrics",),
    ("plots",),
    ("report", "explanation", "comparison", "benchmarking"),
    ("api",),
    ("cli",),
    ("__main__",),
)
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
EXCEPTIONS = {
    # The Hub's interface is methods of the class, and loading builds the class by its name.
    ("eanet.models.classifier", "eanet.models.hub"),
}


def imports(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """Return which of the modules each of them imports.

    Every import counts: also within functions and under ``TYPE_CHECKING``, since a module that
    names another's types knows it. Left out is only the package ``eanet`` itself, which names the
    home of every public function.

    Args:
        modules: source text by full name; a package by its own name.
    """
    arrows: dict[str, set[str]] = {name: set() for name in modules if name != "eanet"}
    for name in arrows:
        for node in ast.walk(ast.parse(modules[name])):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: write imports in full"
                within = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [target if target in modules else str(node.module) for target in within]
            else:
                continue
            arrows[name] |= {t for t in targets if t.split(".")[0] == "eanet"} - {name}
        unknown = arrows[name] - arrows.keys()
        assert not unknown, f"{name} imports {unknown}: name the module itself"
    return arrows


def room(module: str) -> str:
    return module.split(".")[1]


def upward(arrows: Mapping[str, set[str]]) -> list[str]:
    """List the imports from another room of the same level or a higher one."""
    return sorted(
        f"{name} imports {target}"
        for name, targets in arrows.items()
        for target in targets
        if room(name) != room(target) and LEVELS[room(target)] >= LEVELS[room(name)]
    )


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def without_exceptions(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the arrows without those of `EXCEPTIONS`."""
    return {
        name: {target for target in targets if (name, target) not in EXCEPTIONS}
        for name, targets in arrows.items()
    }


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    modules = {}
    for file in SOURCE.rglob("*.py"):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = file.read_text("utf-8")
    return imports(modules)


def test_every_room_has_its_place(arrows: dict[str, set[str]]) -> None:
    assert {room(name) for name in arrows} == LEVELS.keys()


def test_imports_go_one_way(arrows: dict[str, set[str]]) -> None:
    assert not upward(without_exceptions(arrows))


def test_no_modules_import_each_other(arrows: dict[str, set[str]]) -> None:
    assert not circle(without_exceptions(arrows))


def test_every_exception_is_still_one(arrows: dict[str, set[str]]) -> None:
    mended = [arrow for arrow in EXCEPTIONS if arrow[1] not in arrows.get(arrow[0], ())]
    assert not mended, "strike it out of EXCEPTIONS"


@pytest.mark.parametrize(
    "text",
    [
        "from eanet.plots.style import BLUE",
        "from eanet.plots import style",
        "import eanet.plots.style",
        "def draw():\n    from eanet.plots.style import BLUE",
        "if TYPE_CHECKING:\n    from eanet.plots.style import Style",
    ],
)
def test_an_upward_arrow_is_found_wherever_it_is(text: str) -> None:
    arrows = imports({"eanet": "", "eanet.metrics.classes": text, "eanet.plots.style": ""})
    assert upward(arrows) == ["eanet.metrics.classes imports eanet.plots.style"]


def test_rooms_of_one_level_do_not_know_each_other() -> None:
    arrows = imports({"eanet.report.page": "", "eanet.comparison.page": "import eanet.report.page"})
    assert upward(arrows) == ["eanet.comparison.page imports eanet.report.page"]


def test_a_circle_is_found() -> None:
    texts = {"a": "from eanet.ops import b", "b": "import eanet.ops.c", "c": "import eanet.ops.a"}
    arrows = imports({f"eanet.ops.{name}": text for name, text in texts.items()})
    assert upward(arrows) == []
    assert {module.split(".")[-1] for module in circle(arrows)} == {"a", "b", "c"}
