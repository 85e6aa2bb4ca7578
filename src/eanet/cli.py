"""The command line: reads the arguments, calls one function, prints what came of it."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Table

from eanet import __version__
from eanet.config import Recipe, TrainSettings, recipes
from eanet.console import notice
from eanet.errors import EanetError, WrongArgumentError, unknown_name
from eanet.evaluation.benchmark_settings import BenchmarkSettings


class Parser(argparse.ArgumentParser):
    """Answers wrong arguments with one line and the nearest right name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        self.exit(2, f"eanet: error: {message}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = action.option_strings[0] if action.option_strings else "command"
            raise argparse.ArgumentError(None, str(unknown_name(kind, value, action.choices)))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the base class, but an unknown option is an error here, where its like are known."""
        found, unknown = super().parse_known_args(args, namespace)
        for text in unknown:
            if text.startswith("-"):
                options = [name for name in self._option_string_actions if name.startswith("--")]
                self.error(str(unknown_name("option", text.split("=")[0], options)))
            self.error(f"one argument too many: {text!r}")
        return found, unknown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 failed, 2 wrong arguments, 130 interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are not UTF-8
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
        notice(f"eanet: error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if options.debug:
            raise
        reason = " ".join(str(error).split())
        notice(f"eanet: error: {type(error).__name__}: {reason} (--debug shows where)")
        return 1


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="eanet",
        description="Train, evaluate and use image classifiers built on external attention.",
        epilog="example:\n  eanet train digits\n  eanet train path/to/photos --epochs 20",
    )
    parser.add_argument("--version", action="version", version=f"eanet {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )

    def command(name: str, run: Callable[[Any], int | None], help: str, *examples: str) -> Parser:  # noqa: A002
        example = "\n".join(f"  {line}" for line in examples)
        made: Parser = commands.add_parser(
            name, help=help, description=help[0].upper() + help[1:], epilog=f"example:\n{example}"
        )
        made.add_argument("--debug", action="store_true", help="show the traceback of an error")
        made.set_defaults(run=run)
        return made

    made = command(
        "train",
        _train,
        "train a classifier, evaluate it and draw pictures",
        "eanet train digits",
        "eanet train cifar100 --recipe keras_example --model keras_eanet",
        "eanet train path/to/photos --image-size 64 --epochs 20",
        "eanet train --resume runs/digits-keras_eanet",
    )
    made.add_argument("data", nargs="?", help=TrainSettings.model_fields["data"].description)
    made.add_argument("--resume", metavar="RUN", type=Path, help="go on with an interrupted run")
    own = {n: f for n, f in TrainSettings.model_fields.items() if n not in Recipe.model_fields}
    del own["data"]
    _add_settings(made.add_argument_group("the run"), own, defaults=True)
    _add_settings(
        made.add_argument_group("the recipe", "unset: as the recipe says; `none` unsets one"),
        Recipe.model_fields,
    )

    made = command(
        "evaluate",
        _evaluate,
        "measure a model on images and draw pictures",
        "eanet evaluate runs/digits-keras_eanet",
        "eanet evaluate runs/photos-keras_eanet --data other/photos",
    )
    made.add_argument("model", metavar="RUN", help="run directory, model file or Hub id")
    made.add_argument("--data", help="data set or folder; unset: what the run was trained on")
    made.add_argument(
        "--split",
        choices=["train", "validation", "test"],
        help="unset: test, or all images of other data without test images",
    )
    made.add_argument("--output", type=Path, help="folder to write to; unset: the run directory")
    _add_settings(made, {n: own[n] for n in ("data_dir", "device")})

    made = command(
        "predict",
        _predict,
        "name the classes of images",
        "eanet predict runs/photos-keras_eanet bee.jpg",
        "eanet predict runs/photos-keras_eanet holiday/ --top 1 --format csv",
    )
    made.add_argument("model", metavar="RUN", help="run directory, model file or Hub id")
    made.add_argument(
        "images", nargs="+", metavar="IMAGE", help="files, folders, patterns; - for a list on stdin"
    )
    made.add_argument("--top", type=int, default=5, help="classes to name (default: 5)")
    made.add_argument("--format", choices=["table", "json", "csv"], default="table")
    _add_settings(made, {"device": own["device"]})

    made = command(
        "benchmark",
        _benchmark,
        "measure what models cost: operations, time and memory on this machine",
        "eanet benchmark",
        "eanet benchmark keras_eanet vit --image-size 64 --output benchmark",
        "eanet benchmark --tokens",
    )
    made.add_argument("models", nargs="*", metavar="MODEL", help="named models; unset: all")
    made.add_argument(
        "--tokens",
        action="store_true",
        help="instead, one layer of external and of self-attention by the number of tokens",
    )
    _add_settings(made, BenchmarkSettings.model_fields, defaults=True)

    command("models", _models, "list the named models", "eanet models")
    command("datasets", _datasets, "list the data sets that have a name", "eanet datasets")
    made = command(
        "recipes",
        _recipes,
        "list the recipes, or print one to start one's own from",
        "eanet recipes",
        "eanet recipes default > my.yaml",
    )
    made.add_argument("name", nargs="?", help="recipe to print")

    made = command(
        "import-keras",
        _import_keras,
        "turn weights trained with the Keras example into a model",
        "eanet import-keras eanet.weights.h5 --output runs/from-keras",
    )
    made.add_argument("file", type=Path, metavar="FILE", help="FILE.weights.h5 or FILE.keras")
    made.add_argument("--output", type=Path, help="folder to write; unset: runs/FILE")
    made.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the classes, one a line, in order"
    )
    return parser


def _add_settings(parser: Any, fields: dict[str, FieldInfo], *, defaults: bool = False) -> None:
    """One option for each setting; the settings' own checks read the values."""
    for name, field in fields.items():
        option = "--" + name.replace("_", "-")
        allowed = [t for t in _alternatives(field.annotation) if t is not types.NoneType]
        text = field.description or ""
        if defaults and field.default is not None and field.annotation is not bool:
            text += f" (default: {field.default})"
        if allowed == [bool]:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        elif typing.get_origin(allowed[0]) is Literal:
            parser.add_argument(option, choices=typing.get_args(allowed[0]), help=text)
        else:
            metavar = {int: "N", float: "X", Path: "PATH"}.get(allowed[0], name.upper())
            parser.add_argument(option, metavar=metavar, help=text)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if is_union else (annotation,)


def _train(options: argparse.Namespace) -> None:
    from eanet.api import MACHINE, resume, train

    asked = {name: getattr(options, name) for name in TrainSettings.model_fields}
    given = {name: value for name, value in asked.items() if value is not None}
    if options.resume is None:
        result = train(**given)
    elif other := [name for name in given if name not in MACHINE]:
        raise WrongArgumentError(
            f"--resume goes on with the run's own settings; leave out {', '.join(other)}"
        )
    else:
        result = resume(options.resume, **given)
    if result.metrics:  # which the first of several processes has
        _show(result.metrics, result.files)


def _evaluate(options: argparse.Namespace) -> None:
    from eanet.evaluation.report import write_report

    report = write_report(
        options.model,
        data=options.data,
        split=options.split,
        data_dir=options.data_dir,
        output=options.output,
        device=options.device,
    )
    _show(report.metrics, report.files)


def _show(metrics: dict[str, float | int], files: Iterable[Path]) -> None:
    out = _stdout()
    smoothing = metrics["label_smoothing"]
    note = f" (label smoothing {smoothing:g})" if smoothing else ""
    out.print(f"{metrics['images']:,} images")
    out.print(f"loss   {metrics['loss']:.4f}{note}")
    out.print(f"top-1  {metrics['top1']:.2%}")
    out.print(f"top-5  {metrics['top5']:.2%}")
    for file in files:
        out.print(f"wrote {file}")


def _predict(options: argparse.Namespace) -> int:
    from eanet.deploy.predictor import find_images, load

    if options.top < 1:
        raise WrongArgumentError("--top takes 1 or more")
    predictor = load(options.model, options.device or "auto")
    paths = find_images(options.images, sys.stdin)
    write = {"table": _write_line, "json": _write_json, "csv": _write_csv}[options.format]
    if options.format == "csv":
        _write_rows([["image", "class", "probability"]])
    failed = 0
    for path, answer in predictor.predict_files(paths, options.top):
        if isinstance(answer, EanetError):
            notice(f"eanet: error: {answer}")
            failed += 1
        else:
            write(path, list(zip(answer.classes, answer.probabilities, strict=True)))
    return 1 if failed else 0


def _write_line(path: Path, answer: list[tuple[str, float]]) -> None:
    named = ", ".join(f"{name} {probability:.1%}" for name, probability in answer)
    sys.stdout.write(f"{path}: {named}\n")


def _write_json(path: Path, answer: list[tuple[str, float]]) -> None:
    named = [{"class": name, "probability": round(p, 6)} for name, p in answer]
    line = {"image": str(path), "predictions": named}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_csv(path: Path, answer: list[tuple[str, float]]) -> None:
    _write_rows([path, name, f"{p:.6f}"] for name, p in answer)


def _write_rows(rows: Iterable[Sequence[Any]]) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _benchmark(options: argparse.Namespace) -> None:
    from eanet.evaluation.benchmark import benchmark
    from eanet.evaluation.benchmark_tokens import benchmark_tokens
    from eanet.evaluation.measuring import Spread, short

    asked = {name: getattr(options, name) for name in BenchmarkSettings.model_fields}
    given = {name: value for name, value in asked.items() if value is not None}

    def show(figure: Spread) -> str:
        return f"{short(figure.median)} ({short(figure.low)} to {short(figure.high)})"

    if options.tokens:
        if options.models or given.keys() & {"image_size", "batch_size"}:
            raise WrongArgumentError("--tokens takes no model, --image-size or --batch-size")
        tokens = benchmark_tokens(**given)
        _print_table(
            ("layer", "tokens", "forward, ms", "and backward, ms", "memory, MiB"),
            [
                (
                    p.layer,
                    f"{p.tokens:,}",
                    show(p.forward_ms),
                    show(p.training_ms),
                    short(p.memory_bytes / 2**20),
                )
                for p in tokens.points
            ],
        )
        _stdout().print(tokens.summary)
        files = tokens.files
    else:
        if "dim" in given:
            raise WrongArgumentError("--dim goes with --tokens")
        measured = benchmark(*options.models, **given)
        _print_table(
            (
                "model",
                "parameters",
                "multiply-adds",
                "training, images/s",
                "prediction, images/s",
                "one image, ms",
                "peak memory, MiB",
            ),
            [
                (
                    m.model,
                    f"{m.parameters:,}",
                    short(m.multiply_adds),
                    show(m.training_images_per_second),
                    show(m.prediction_images_per_second),
                    show(m.latency_ms),
                    short(m.peak_memory_bytes / 2**20),
                )
                for m in measured.models
            ],
        )
        files = measured.files
    _stdout().print("medians, with the 5th and 95th percentile")
    for file in files:
        _stdout().print(f"wrote {file}")


def _models(_: argparse.Namespace) -> None:
    from eanet.models import create_model, models

    rows = [(m.name, f"{create_model(m.name).num_parameters:,}", m.summary) for m in models()]
    _print_table(("model", "parameters", "what it is"), rows)
    _stdout().print("parameters: for 100 classes of 32 x 32 colour images")


def _datasets(_: argparse.Namespace) -> None:
    from eanet.data.sources import sources

    rows = [(source.name, source.summary) for source in sources()]
    rows.append(("FOLDER", "one's own images, a folder for each class"))
    _print_table(("data", "what it is"), rows)


def _recipes(options: argparse.Namespace) -> None:
    from eanet.config import RECIPES

    if options.name is None:
        _print_table(("recipe", "what it is"), recipes().items())
    elif options.name in recipes():
        sys.stdout.write((RECIPES / f"{options.name}.yaml").read_text("utf-8"))
    else:
        raise unknown_name("recipe", options.name, recipes())


def _import_keras(options: argparse.Namespace) -> None:
    from eanet.config import read_text
    from eanet.models import save_model
    from eanet.models.keras_import import import_keras

    classes = read_text(options.classes).split("\n") if options.classes else None
    model = import_keras(options.file, classes and [name for name in classes if name])
    stem = options.file.name.removesuffix(".keras").removesuffix(".weights.h5")
    path = save_model(model, options.output or Path("runs") / stem)
    out = _stdout()
    size = model.config.image_size
    out.print(
        f"{model.config.name}: {model.num_parameters:,} parameters, "
        f"{size} x {size} pixels, {len(model.classes)} classes"
    )
    out.print(f"wrote {path}")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    for row in rows:
        table.add_row(*row)
    _stdout().print(table)


def _stdout() -> Console:
    """Plain text on standard output, wrapped to the window where that is a terminal."""
    width = None if sys.stdout.isatty() else 1000
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)
