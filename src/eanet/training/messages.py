"""What a training says about itself before it begins."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from eanet.config import ResolvedSettings
from eanet.console import notice
from eanet.data.registry import Default
from eanet.data.splits import Dataset
from eanet.models import Classifier
from eanet.models.registry import format_value
from eanet.training.range_test import RangeTest


def show_dataset(dataset: Dataset, decided: Collection[str] = ()) -> None:
    """Print the notes and sizes of a data set, and what was found about the whole of it.

    Args:
        dataset: the images.
        decided: settings that were given; what they change is not questioned.
    """
    for note in dataset.notes:
        notice(note)
    for finding in dataset.findings:
        if finding.setting not in decided:
            notice(str(finding))
    train, size = dataset.train, dataset.train.image_size
    counts = f"{len(train):,} training, {len(dataset.validation or ()):,} validation"
    notice(
        f"{dataset.name}: {counts}, {len(dataset.test):,} test images, "
        f"{size} x {size}, of {len(train.classes)} classes"
    )


def show_defaults(defaults: Sequence[Default]) -> None:
    """Print the defaults that a run uses as a table."""
    if not defaults:
        return
    notice("chosen for these images; options you give override them:")
    wide = max(len(format_value(default.value)) for default in defaults)
    for setting, value, reason in defaults:
        notice(f"  {setting.replace('_', ' '):<10}  {format_value(value):<{wide}}  {reason}")


def show_settings(settings: ResolvedSettings, model: Classifier, why_compiled: str) -> None:
    """Print a summary of a run.

    Args:
        settings: of the run.
        model: its model.
        why_compiled: why it is compiled or not, in a few words.
    """
    limit = f"epochs {settings.epochs}"
    if settings.minutes is not None:
        limit = f"minutes {settings.minutes:g}"
    if settings.teacher is not None:
        limit += f", teacher {settings.teacher}"
    notice(
        f"{settings.model}: {model.num_parameters:,} parameters; recipe {settings.recipe}, "
        f"{limit}, batch size {settings.batch_size}"
    )
    compiled = "compiled" if settings.compile == "on" else "not compiled"
    notice(
        f"{settings.device}, {settings.precision}, threads {settings.threads}, "
        f"{compiled} ({why_compiled})"
    )
    if settings.minutes is None and 0 < settings.epochs <= settings.warmup_epochs:
        notice(
            f"the learning rate warms up for {settings.warmup_epochs:g} epochs, as long as this "
            f"training or longer, and is below {settings.learning_rate:g} throughout; "
            "--warmup-epochs changes that"
        )


def show_search(search: RangeTest) -> None:
    """Print the learning rate that a search suggests."""
    notice(
        f"learning rate {search.suggestion:g}: half the rate of the lowest loss, "
        f"tried from {search.rates[0]:g} to {search.rates[-1]:.2g} in {len(search.rates)} steps"
    )
