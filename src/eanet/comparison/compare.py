"""Compare models under the same conditions: table, page, and what may be concluded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eanet.comparison.entrants import open_entrant
from eanet.comparison.entries import Entry, group_by_model, group_by_settings
from eanet.comparison.page import write_markdown, write_page
from eanet.comparison.plots import BY_EPOCH, has_curves, plot_parameters, plot_progress
from eanet.comparison.runs import Run
from eanet.comparison.table import figures, rows, write_models, write_runs
from eanet.comparison.training import CONDITIONS, Evaluate, train_all
from eanet.comparison.words import caption, conclusion, notes
from eanet.config import RUNS, is_run
from eanet.errors import EanetError, WrongArgumentError
from eanet.files import user_path
from eanet.models.registry import models as known_models
from eanet.pages.notebook import show
from eanet.parsing import parse_names
from eanet.plots.svg import svg_image
from eanet.tables import as_table

SEEDS = 3


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several models, each with its runs, and the files they were written to.

    Attributes:
        path: the folder.
        entries: the models, in the order given.
        files: the tables, pictures and page.

    Examples:
        >>> comparison = eanet.compare("runs/first")
        >>> comparison.conclusion
        'There is only one model, so nothing is compared.'
    """

    path: Path
    entries: tuple[Entry, ...]
    files: tuple[Path, ...]

    @property
    def table(self) -> Any:
        """One row per model, as a DataFrame, or without pandas as a dictionary of columns.

        Figures are numbers as in ``comparison.csv``: accuracies and differences are fractions,
        ``difference`` is that from the first model, from ``difference_low`` to ``difference_high``.
        """
        return as_table(figures(self.entries))

    def __repr__(self) -> str:
        names = ", ".join(entry.name for entry in self.entries)
        return f"Comparison({self.path}, of {names}: {self.conclusion})"

    def _repr_html_(self) -> str:
        charts = []
        if has_curves(self.entries):
            draw = partial(plot_progress, self.entries, panels=[BY_EPOCH])
            charts = [svg_image(draw, "Validation accuracy by epoch")]
        pages = [f"everything in {file}" for file in self.files if file.suffix == ".html"]
        return show(
            f"Comparison {self.path}",
            lead=self.conclusion,
            tables={"Models": rows(self.entries)},
            charts=charts,
            notes=[*self.notes, self.caption, *pages],
        )

    @property
    def conclusion(self) -> str:
        """What may be concluded and what not, in one sentence."""
        return conclusion(self.entries)

    @property
    def caption(self) -> str:
        """How the figures of the table were obtained."""
        return caption(self.entries)

    @property
    def notes(self) -> list[str]:
        """Failed runs, and conditions that differed."""
        return notes(self.entries)


def compare_models(
    names: Iterable[Any],
    /,
    *,
    evaluate: Evaluate,
    seeds: int | None = None,
    output: str | Path | None = None,
    **settings: Any,
) -> Comparison:
    """Train models under the same conditions and compare them, or compare finished runs.

    Args:
        names: names of architectures, which begin with random weights, and trained models (bundled,
            or files), which are fine-tuned; or run directories; also as lists.
        evaluate: evaluates a finished run on its test images and writes its report; a function of a
            module, since it is called in the process of the run.
        seeds: number of runs per model, with the seeds 0, 1, ...; 3 by default.
        output: folder for the runs and the comparison. By default it is named after the data and
            the recipe, or after the runs. With the same settings, it is resumed.
        **settings: fields of `TrainSettings`, for all runs.

    Raises:
        EanetError: anything that the caller can fix, in one line.
        KeyboardInterrupt: after Ctrl-C; the same call resumes where it stopped.
    """
    unique = parse_names(names, "a model or run")
    folder = None if output is None else user_path(output)
    runs = [name for name in unique if _is_run(name)]
    if not unique:
        raise WrongArgumentError("name the models or runs to compare")
    if not runs:
        entrants = [open_entrant(name) for name in unique]
        if (count := SEEDS if seeds is None else seeds) < 1:
            raise WrongArgumentError("--seeds takes 1 or more")
        finished, failures, folder = train_all(entrants, count, folder, evaluate, **settings)
        return _write(group_by_model(unique, finished, failures), folder)
    if runs != unique:
        other = next(name for name in unique if name not in runs)
        raise WrongArgumentError(f"{runs[0]} is a run and {other} is not; compare like with like")
    if given := [*settings, *(["seeds"] if seeds is not None else [])]:
        raise WrongArgumentError(f"finished runs take no settings; leave out {', '.join(given)}")
    folder = folder or _default_folder(unique)
    if (folder / CONDITIONS).is_file() or is_run(folder):
        raise EanetError(f"{folder} holds runs of its own; name another folder with --output")
    return _write(group_by_settings([Run.read(user_path(name)) for name in unique]), folder)


def _is_run(name: str) -> bool:
    """Whether ``name`` is a run directory. Model names take precedence; ``./vit`` is the folder."""
    return name not in {entry.name for entry in known_models()} and is_run(user_path(name))


def _default_folder(names: Sequence[str]) -> Path:
    few = [user_path(name).resolve().name for name in names[:3]]
    more = [f"and-{len(names) - 3}-more"] if len(names) > 3 else []
    return RUNS / "-".join(["compare", *few, *more])


def _write(entries: Sequence[Entry], folder: Path) -> Comparison:
    data = next(run.config.data.name for entry in entries for run in entry.runs)
    title = f"{' and '.join(e.name for e in entries) if len(entries) < 3 else 'Models'} on {data}"
    pictures = [plot_parameters(entries, folder / "parameters.png", title=title)]
    if has_curves(entries):
        pictures.insert(0, plot_progress(entries, folder / "curves.png", title=title))
    files = (
        write_models(entries, folder / "comparison.csv"),
        write_runs(entries, folder / "runs.csv"),
        *pictures,
        write_markdown(entries, folder / "comparison.md", title=title, pictures=pictures),
        write_page(entries, folder / "comparison.html", title=title),
    )
    return Comparison(folder, tuple(entries), files)
