"""`eanet datasets`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eanet.cli.output import print_table, stdout
from eanet.cli.parser import RUN, Commands, add_settings
from eanet.config import TrainSettings
from eanet.console import notice
from eanet.errors import WrongArgumentError
from eanet.files import check_writable, replacing_together, user_path

if TYPE_CHECKING:
    from eanet.data.copies import Place
    from eanet.data.overview import Overview
    from eanet.plots.pairs import Pair

OPTIONS = ("recipe", "image_size", "fit", "levels", "layout", "names", "data_dir")
SHOWN = 10  # problems printed at most
PAIRS = 30  # near-duplicates drawn at most


def add(commands: Commands) -> None:
    """Declare the command."""
    command = commands.add(
        "datasets",
        run,
        "list the built-in data sets, or inspect any before training",
        "eanet datasets",
        "eanet datasets path/to/photos --output look",
        "eanet datasets cifar100",
    )
    command.add_argument("data", nargs="?", metavar="DATA", help=RUN["data"].description)
    command.add_argument(
        "--output",
        metavar="FOLDER",
        type=user_path,
        help="write classes.png (some images of each class), augmented.png (some after the "
        "recipe's augmentation), problems.csv and, if there are any, near_duplicates.png",
    )
    add_settings(command, {name: RUN[name] for name in OPTIONS})


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    if options.data is None:
        if given := [name for name in ("output", *OPTIONS) if getattr(options, name) is not None]:
            option = given[0].replace("_", "-")
            raise WrongArgumentError(f"--{option} is for images: name these, eanet datasets DATA")
        _list()
    else:
        _inspect(options)


def _list() -> None:
    from eanet.data.datasets import named_datasets

    rows = [(dataset.name, dataset.summary) for dataset in named_datasets().values()]
    rows.append(("FOLDER", "your own images, one folder per class"))
    columns = "the columns path, label and maybe split"
    rows.append(("LIST", f"a .csv, .tsv, .jsonl or .parquet file with {columns}, or .txt without"))
    rows.append(("ARCHIVE", "a .zip or .tar file of such a folder or list"))
    print_table(("data", "what it is"), rows)


def _inspect(options: argparse.Namespace) -> None:
    from eanet.data.overview import Overview
    from eanet.data.source import open_source
    from eanet.device import resolve_device
    from eanet.training.defaults import fill, recommend

    source = open_source(options.data)
    given = {n: value for n in OPTIONS if (value := getattr(options, n)) is not None}
    asked = TrainSettings.with_recipe(data=options.data, **given)
    if options.output:
        check_writable(options.output)
        source.check_outside(options.output, asked)
    images = source.defaults or source.statistics(asked)
    settings = fill(asked, recommend(asked, images, resolve_device(asked.device)))
    splits = source.load_splits(settings)
    for note in splits.notes:
        notice(note)
    overview = Overview(source.name, splits)
    files = _write(overview, settings, options.output) if options.output else ()
    _print_counts(overview)
    for row in _summary(overview):
        stdout().print("{:<9}  {}".format(*row))
    _print_problems(overview)
    for file in files:
        stdout().print(f"wrote {file}")


def _print_counts(overview: Overview) -> None:
    classes, counts = overview.splits.train.classes, overview.counts
    total = sum(int(count.sum()) for count in counts.values())
    stdout().print(f"{overview.name}: {total:,} images of {len(classes)} classes")
    rows = [
        (name, *(f"{count[label]:,}" for count in counts.values()))
        for label, name in enumerate(classes)
    ]
    rows.append(("all", *(f"{count.sum():,}" for count in counts.values())))
    print_table(("class", *counts), rows, wrapped=0)


def _summary(overview: Overview) -> Iterator[tuple[str, str]]:
    """Yield properties of the images as a set, each with its heading."""
    originals, train = overview.splits.originals, overview.splits.train
    if originals is None:
        yield "size", f"{train.image_size} x {train.image_size} pixels"
    else:
        for name, (low, middle, high) in overview.sizes.items():
            of_all = f"{low:,} to {high:,} pixels, median {middle:,}"
            yield name, f"{low:,} pixels in all" if low == high else of_all
        modes = Counter(originals.modes).most_common()
        yield "modes", ", ".join(f"{mode} {count:,}" for mode, count in modes)
    counts = train.counts()
    large, small = counts.argmax(), counts.argmin()
    if counts[large] == counts[small]:
        yield "balance", f"{counts[small]:,} training images of every class"
    else:
        ratio = f"{counts[large] / counts[small]:.3g} to 1"  # names may be numbers: in quotes
        most, least = (f"{counts[i]:,} of {train.classes[i]!r}" for i in (large, small))
        yield "balance", f"{ratio}: {most}, {least}"


def _print_problems(overview: Overview) -> None:
    from eanet.data.near_duplicates import can_be_searched

    problems = list(overview.problems())
    originals, findings = overview.splits.originals, len(overview.splits.findings)
    unreadable, outliers = (
        (len(originals.skipped), len(originals.outliers)) if originals else (0, 0)
    )
    near = len(overview.near_duplicates)
    copies = len(problems) - findings - unreadable - outliers - near
    kinds = [
        (findings, "about the whole set"),
        (unreadable, "unreadable"),
        (outliers, "unlike the others"),
        (copies, "duplicates"),
        (near, "near-duplicates"),
    ]
    said = [f"{count:,} {what}" for count, what in kinds if count] or ["none"]
    if not near and originals and can_be_searched(list(overview.splits.sets.values())):
        said.append("no near-duplicates")
    stdout().print(f"problems   {', '.join(said)}")
    for image, problem in problems[:SHOWN]:
        stdout().print(f"  {image}: {problem}")
    if len(problems) > SHOWN:
        stdout().print(f"  and {len(problems) - SHOWN:,} more; --output writes them all")


def _pair(overview: Overview, later: Place, first: Place) -> Pair:
    from eanet.plots.pairs import Pair

    places, sets = (first, later), overview.splits.sets
    one, other = (sets[split].images[index] for split, index in places)
    name, other_name = map(overview.name_of, places)
    differences = ["splits"] * (first[0] != later[0])
    differences += ["classes"] * (overview.class_of(first) != overview.class_of(later))
    note = f"of different {' and '.join(differences)}" if differences else ""
    return Pair((one, other), (name, other_name), note)


def _of_pairs(overview: Overview) -> str:
    count = len(overview.near_duplicates)
    some = f", {PAIRS} of them" if count > PAIRS else ""
    return f"{overview.name}: {count:,} near-duplicates{some}"


def _write(overview: Overview, settings: TrainSettings, folder: Path) -> tuple[Path, ...]:
    from eanet.plots.class_sheet import plot_classes
    from eanet.plots.pairs import plot_pairs
    from eanet.plots.preview import plot_preview

    train, title = overview.splits.train, f"{overview.name} (train)"
    flip = overview.splits.mirrorable if settings.flip is None else settings.flip
    augmentation = settings.model_copy(update={"flip": flip})
    pairs = [_pair(overview, *twins) for twins in overview.near_duplicates[:PAIRS]]
    near, table = folder / "near_duplicates.png", folder / "problems.csv"
    is_later = table.exists()
    with replacing_together(folder):
        sheet = [plot_pairs(pairs, near, title=_of_pairs(overview))] if pairs else []
        files = (
            *sheet,
            plot_classes(train, folder / "classes.png", title=title),
            plot_preview(
                train,
                augmentation,
                folder / "augmented.png",
                title=f"{title}, recipe {settings.recipe}",
            ),
            overview.write_problems(table),
        )
    if is_later and not pairs:  # those of an earlier look have been removed
        near.unlink(missing_ok=True)
    return files
