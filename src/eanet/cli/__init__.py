"""The command line: parses the arguments, calls one function, prints the result."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from eanet import __version__
from eanet.cli import (
    benchmark,
    compare,
    datasets,
    evaluate,
    explain,
    import_keras,
    lists,
    predict,
    train,
)
from eanet.cli.parser import Commands, Parser
from eanet.console import notice, report
from eanet.errors import EanetError

COMPILER = ("torch._dynamo", "torch._inductor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 failed, 2 wrong arguments, 130 interrupted.
    """
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")  # for file names that are not UTF-8
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 0
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return int(options.run(options) or 0)
    except EanetError as error:
        if options.debug:
            raise
        report(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        if not stop.args:  # with arguments, the reason has already been printed
            notice("eanet: interrupted")
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if options.debug:
            raise
        kind, reason = type(error), " ".join(str(error).split())
        if kind.__module__.startswith(COMPILER):  # the other lines are pages of generated code
            reason = (
                f"{str(error).strip().splitlines()[0]}; --compile off does without the compiler"
            )
        report(f"{kind.__name__}: {reason} (--debug shows where)")
        return 1


def build_parser() -> Parser:
    """Build the parser of the complete command line."""
    parser = Parser(
        prog="eanet",
        description="Train, evaluate and use image classifiers built on external attention.",
        epilog="example:\n  eanet train digits\n  eanet train path/to/photos --epochs 20",
    )
    parser.add_argument("--version", action="version", version=f"eanet {__version__}")
    commands = Commands(parser)
    own = (train, evaluate, predict, explain, compare, benchmark, datasets, lists, import_keras)
    for module in own:
        module.add(commands)
    return parser
