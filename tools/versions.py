"""Runs the tests with the lowest and with the newest versions that pyproject.toml allows.

    pip install uv
    python -m tools.versions [--only lowest] [--python 3.13] [tests/plots -x ...]

Makes an environment for each in ``.venv-versions`` (``--keep`` takes those that are there), and
prints one table: the version of every dependency that pyproject.toml names, and what pytest
counted. Other arguments go to pytest; without them it runs the whole suite. The exit status is 1
if a test failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENTS = REPOSITORY / ".venv-versions"
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
SUITE = ("--numprocesses", "auto", "--maxprocesses", "2", "--dist", "loadfile")
COUNTS = ("tests", "failures", "errors", "skipped", "time")


def main() -> int:
    """Make the environments, run the tests in each, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=RESOLUTIONS)
    parser.add_argument("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}")
    parser.add_argument("--keep", action="store_true", help="use the environments that are there")
    options, arguments = parser.parse_known_args()
    columns: dict[str, dict[str, str]] = {}
    for name in [options.only] if options.only else RESOLUTIONS:
        folder = ENVIRONMENTS / f"{name}-{options.python}"
        if not (options.keep and folder.is_dir()):
            install(folder, RESOLUTIONS[name], options.python)
        columns[name] = versions(folder) | run_tests(folder, arguments or SUITE)
    print(table(columns))
    return int(
        any(column["failures"] != "0" or column["errors"] != "0" for column in columns.values())
    )


def uv(*arguments: str | Path) -> str:
    """What uv prints on standard output."""
    return subprocess.run(
        ["uv", *map(str, arguments)], check=True, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ).stdout


def install(folder: Path, resolution: str, python: str) -> None:
    """Make an environment with this package, in editable form, and what it needs."""
    uv("venv", "--clear", "--python", python, folder)
    uv("pip", "install", "--python", folder, "--resolution", resolution, "--editable", ".[dev]")


def dependencies(project: Mapping[str, object]) -> list[str]:
    """The names of the packages that pyproject.toml asks for, of every extra."""
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = [re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in lines]
    return [name for name in dict.fromkeys(names) if name != project["name"]]


def versions(folder: Path) -> dict[str, str]:
    """The version of Python and of every dependency in an environment."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    there = json.loads(uv("pip", "list", "--python", folder, "--format", "json"))
    found = {entry["name"].lower().replace("_", "-"): entry["version"] for entry in there}
    python = subprocess.check_output([folder / "bin" / "python", "--version"], text=True)
    return {"python": python.split()[1]} | {n: found.get(n, "") for n in dependencies(project)}


def run_tests(folder: Path, arguments: Sequence[str]) -> dict[str, str]:
    """Run the tests in an environment; what pytest counted."""
    report = folder / "tests.xml"
    report.unlink(missing_ok=True)
    command = [folder / "bin" / "python", "-m", "pytest", "-q", f"--junit-xml={report}", *arguments]
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path}
    subprocess.run(command, check=False, cwd=REPOSITORY, env=environment)
    suite = ET.parse(report).getroot().find("testsuite")
    return {name: suite.get(name) for name in COUNTS}


def table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """A Markdown table with a column for each environment."""
    rows = [["", *columns], ["---"] * (1 + len(columns))]
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows += [[name, *(column.get(name, "") for column in columns.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
