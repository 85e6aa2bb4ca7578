"""Shared by all commands: parsing, and one option per setting."""

from __future__ import annotations

import argparse
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic.fields import FieldInfo

from eanet.config import (
    AugmentSettings,
    DataSettings,
    MachineSettings,
    Recipe,
    TrainSettings,
    ValidationSettings,
)
from eanet.elsewhere import name_here
from eanet.errors import nearest, unknown_name
from eanet.settings import Settings
from eanet.text import shown


def _declared(*classes: type[Settings]) -> dict[str, FieldInfo]:
    """Fields that the classes declare themselves, without inherited ones, in this order."""
    return {name: c.model_fields[name] for c in classes for name in inspect.get_annotations(c)}


RUN = _declared(TrainSettings, DataSettings, MachineSettings)  # settings not part of the recipe

SHORT = {"learning_rate": ("--lr",)}


class _Literal(str):
    """An argument after ``--``: no option, whatever it begins with."""


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, with the nearest valid name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )
        self._is_within = False

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        self.exit(2, shown(f"eanet: error: {message}; see {self.prog} --help") + "\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = action.option_strings[0] if action.option_strings else "command"
            raise argparse.ArgumentError(
                None, str(unknown_name(kind, str(value), list(map(str, action.choices))))
            )

    def _parse_optional(self, arg_string: str) -> Any:
        return None if isinstance(arg_string, _Literal) else super()._parse_optional(arg_string)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the base class, but options may stand anywhere, and unknown ones are an error here.

        Only this parser knows the option names to suggest instead.
        """
        if self._is_within:  # the calls below call this method again
            return super().parse_known_args(args, namespace)
        args = sys.argv[1:] if args is None else list(args)
        if "--" in args:
            end = args.index("--")
            args = [*args[:end], *map(_Literal, args[end + 1 :])]
        self._is_within = True
        try:
            if self._subparsers is None:
                options, unknown = self.parse_known_intermixed_args(args, namespace)
            else:
                options, unknown = super().parse_known_args(args, namespace)
        finally:
            self._is_within = False
        for text in unknown:
            if text.startswith("-") and not isinstance(text, _Literal):
                self.error(_unknown_option(text.split("=")[0], self._option_string_actions))
            self.error(f"one argument too many: {text!r}")
        return options, unknown


def _unknown_option(name: str, known: Collection[str]) -> str:
    if here := name_here(name, known):
        return f"unknown option {name!r}; here it is {here!r}"
    near = nearest(name, known)
    return f"unknown option {name!r}" + (f"; did you mean {near!r}?" if near else "")


class Commands:
    """The commands of a parser."""

    def __init__(self, parser: Parser) -> None:
        self._parsers = parser.add_subparsers(
            title="commands", metavar="COMMAND", required=True, parser_class=Parser
        )

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int | None],
        summary: str,
        *examples: str,
    ) -> Parser:
        """Add a command, without arguments as yet.

        Args:
            name: what is typed.
            run: takes the parsed options; returns the exit code, or nothing for 0.
            summary: one line.
            examples: command lines.
        """
        example = "\n".join(f"  {line}" for line in examples)
        command: Parser = self._parsers.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:],
            epilog=f"example:\n{example}",
        )
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(run=run)
        return command


def add_settings(parser: Any, fields: dict[str, FieldInfo], *, defaults: bool = False) -> None:
    """Add one option per setting; the settings class converts and checks the values."""
    for name, field in fields.items():
        option = ["--" + name.replace("_", "-"), *SHORT.get(name, ())]
        allowed = [t for t in _alternatives(field.annotation) if t is not types.NoneType]
        text = field.description or ""
        if defaults and field.default is not None and field.annotation is not bool:
            text += f" (default: {field.default})"
        if allowed == [bool]:
            parser.add_argument(*option, action=argparse.BooleanOptionalAction, help=text)
        elif typing.get_origin(allowed[0]) is Literal:
            parser.add_argument(*option, choices=typing.get_args(allowed[0]), help=text)
        else:
            metavar = {int: "N", float: "X", Path: "PATH"}.get(allowed[0], name.upper())
            parser.add_argument(*option, metavar=metavar, help=text)


def add_model(parser: argparse.ArgumentParser, *, exported: bool = True) -> None:
    """Add the argument that names a model, which may be an exported file."""
    file = "exported file (.onnx), " if exported else ""
    parser.add_argument(
        "model", metavar="RUN", help=f"run directory, model file, {file}bundled model or Hub id"
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names images, as `eanet.data.find.find_images` takes them."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="files, folders, archives, patterns; - for a list on stdin",
    )


def add_runtime(parser: argparse.ArgumentParser, auto: str) -> None:
    """Add the option that chooses a library to compute a model with, and say what auto takes."""
    parser.add_argument(
        "--runtime",
        choices=["auto", "torch", "onnxruntime", "openvino"],
        default="auto",
        help=f"library to compute with; auto: {auto} (default: auto)",
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the options that override settings of the recipe."""
    recipe = parser.add_argument_group("the recipe", "unset: the recipe's value; `none` clears it")
    add_settings(recipe, _declared(Recipe, ValidationSettings))
    augmentation = parser.add_argument_group("the recipe's augmentation")
    add_settings(augmentation, AugmentSettings.model_fields)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if is_union else (annotation,)


def given(options: argparse.Namespace, settings: type[Settings]) -> dict[str, Any]:
    """Return those settings of the command that were given on the command line."""
    values = {name: getattr(options, name, None) for name in settings.model_fields}
    return {name: value for name, value in values.items() if value is not None}
