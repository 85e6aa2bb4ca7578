"""The command line: parses the arguments, calls one function, prints the result."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from eanet.cli import (
    benchmark,
    compare,
    datasets,
    embed,
    evaluate,
    explain,
    export,
    import_keras,
    lists,
    predict,
    serve,
    train,
)
from eanet.cli.output import is_utf8
from eanet.cli.parser import Commands, Parser
from eanet.console import notice, report
from eanet.errors import EanetError, error_line
from eanet.version import __version__

READER_GONE = 141  # as shells say of a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 failed, 2 wrong arguments, 130 interrupted, 141 the reader of the output has gone
        before all files were written.
    """
    if sys.stdin is None:  # closed by the caller
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 (for the rest of the process)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be UTF-8, and the output may be unable to show all others.
            is_limited = stream is sys.stdout and not is_utf8(stream)
            stream.reconfigure(errors="backslashreplace" if is_limited else "surrogateescape")
    code = 0
    try:
        with _warnings_in_one_line():
            code = _run(arguments)
    except BrokenPipeError:  # a reader such as `head` has gone, which is no failure
        _silence()
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence()
        # Another failure has been reported.
        if code == 0 and not isinstance(error, BrokenPipeError):
            report(f"cannot write to standard output: {error.strerror}")
            code = 1
    return code


def _silence() -> None:
    """Discard what is still to be printed, also by the flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings of libraries as notices, for which names are made harmless."""
    with warnings.catch_warnings():
        # Pillow's, about odd files that it can still read, or that are reported as unreadable.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.showwarning = lambda message, *_, **__: notice(f"warning: {message}")
        yield


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
        writes = getattr(options, "output", None) or getattr(options, "copy_to", None)
        if not writes:
            raise
        _silence()
        return READER_GONE  # since files may be missing
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, OSError) and error.filename and error.strerror:
            report(f"cannot read or write {error.filename}: {error.strerror}")
        else:
            report(f"{error_line(error)} (--debug shows where)")
        return 1


class _Version(argparse.Action):
    """Prints the version, and whether the compiled kernels are there; looks only if asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from eanet.ops.kernels import status

        print(f"eanet {__version__}\nkernels: {status()}")  # noqa: T201 (a result)
        parser.exit()


def build_parser() -> Parser:
    """Build the parser of the complete command line."""
    parser = Parser(
        prog="eanet",
        description="Train, evaluate and use image classifiers built on external attention.",
        epilog="example:\n  eanet train digits\n  eanet train path/to/photos --epochs 20",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version and the state of the kernels"
    )
    commands = Commands(parser)
    own = (train, evaluate, predict, serve, explain, embed, export, compare)
    for module in (*own, benchmark, datasets, lists, import_keras):
        module.add(commands)
    return parser
