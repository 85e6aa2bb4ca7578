"""The user's own images as a data set, with notes on what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eanet.config import DataSettings
from eanet.data.choose_preprocessing import choose_preprocessing
from eanet.data.class_names import check_known
from eanet.data.decode_split import Decoded, decode_split
from eanet.data.findings import Finding
from eanet.data.formats import missing_plugin
from eanet.data.groups import AUTO, group_names, number_groups
from eanet.data.imageset import ImageSet
from eanet.data.layout import Layout, is_image, relative
from eanet.data.levels import describe_levels
from eanet.data.outliers import find_outliers
from eanet.data.shortcuts import shortcuts
from eanet.data.splits import Originals, SourceSplits
from eanet.errors import EanetError, WrongArgumentError
from eanet.model_files.preprocessing import Preprocessing
from eanet.text import some

DEFAULT_SIZE = 64


def load_image_files(
    layout: Layout,
    settings: DataSettings,
    preprocessing: Preprocessing | None = None,
    known: Sequence[str] = (),
) -> SourceSplits:
    """Decode the images of a layout; unreadable ones are skipped and named in a note.

    Args:
        layout: the files.
        settings: of the data set.
        preprocessing: of the model that the images are for; None: what suits the images, with the
            ``fit`` of the settings if they have one.
        known: the classes of a model that the images are for; they may be of some of them.

    Raises:
        EanetError: an image is of a class that is not among ``known``; or, without these, there are
            fewer than two classes, a class has no readable training image, or another split has a
            class that the training images lack.
    """
    if known:
        check_known(layout, known)
    classes = tuple(known) or _classes(layout)
    size = settings.image_size or DEFAULT_SIZE
    chosen = preprocessing or choose_preprocessing(layout, settings)
    decoded = {
        split: decode_split(split, listing, classes, size, chosen)
        for split, listing in layout.splits.items()
    }
    for name, count in zip(classes, decoded["train"].images.counts(), strict=True):
        if not (count or known):
            raise EanetError(
                f"no readable image of class {name!r} among the training images: add some, or "
                "remove the class"
            )
    images = {split: part.images for split, part in decoded.items()}
    read = [original for part in decoded.values() for original in part.originals]
    files = [file for part in decoded.values() for file in part.images.files or ()]
    depths = tuple(original.depth for original in read if original.depth is not None)
    findings = layout.findings
    if preprocessing is None:
        findings = (*findings, *_choices(chosen, settings, any_deep=bool(depths)))
    findings = (*findings, *_with_groups(layout, images, settings, known))
    if not known:
        labels = np.concatenate([part.labels for part in images.values()])
        parts = np.repeat(np.arange(len(images)), [len(part) for part in images.values()])
        findings = (*findings, *shortcuts(read, labels, classes, parts, tuple(images)))
    outliers = tuple((files[index], reason) for index, reason in find_outliers(read).items())
    return SourceSplits(
        images["train"],
        images.get("validation"),
        images.get("test"),
        tuple(_notes(layout, decoded, outliers)),
        originals=Originals(
            layout.root,
            np.array([(original.width, original.height) for original in read], dtype=np.int64),
            tuple(original.mode for original in read),
            tuple(pair for part in decoded.values() for pair in part.skipped),
            outliers,
            blank=sum(original.blank for original in read),
            clear=sum(original.clear for original in read),
            depths=depths,
        ),
        preprocessing=chosen,
        findings=findings,
    )


def _with_groups(
    layout: Layout, images: dict[str, ImageSet], settings: DataSettings, known: Sequence[str]
) -> Iterator[Finding]:
    """Add the groups that a column or a pattern names to the images, if they are to be grouped.

    Yields those that the splits of the source divide: only what is drawn keeps them whole.
    """
    group = settings.group
    if group in (None, AUTO):
        return
    names = {
        split: group_names(group, part.files or (), layout.splits[split], layout.root)
        for split, part in images.items()
    }
    if not any(names["train"]):
        if known:  # nothing is drawn from images for a model: they need not name any groups
            return
        raise WrongArgumentError(
            f"group={group}: no column of the list, and no path of an image matches it, such as "
            f"{relative((images['train'].files or ())[0], layout.root)}"
        )
    numbers = number_groups(name for own in names.values() for name in own)
    ends = np.cumsum([len(own) for own in names.values()])[:-1]
    for split, part in zip(names, np.split(numbers, ends), strict=True):
        images[split] = replace(images[split], groups=part)
    trained = set(filter(None, names.pop("train")))
    counts = [
        f"{shared:,} of the {len(own):,} {split} images"
        for split, own in names.items()
        if (shared := sum(name in trained for name in own))
    ]
    if counts:
        yield Finding(
            f"{' and '.join(counts)} are of groups that training images are of as well, which "
            "inflates the result",
            "",
            "keep each group in one split",
        )


def _choices(
    preprocessing: Preprocessing, settings: DataSettings, *, any_deep: bool
) -> Iterator[Finding]:
    """Yield what was chosen for deep images; with all of 16 bits, there is nothing to say."""
    levels = preprocessing.levels
    if settings.levels is not None and not any_deep:
        yield Finding(
            "no image is deep (16 bits or floats)", "", "--levels changes nothing: leave it out"
        )
    if settings.levels is None and levels is not None and levels != (0, 65535):
        yield Finding(
            f"deep images: {describe_levels(levels)} become black to white",
            "levels",
            "--levels LOW,HIGH sets another range",
        )


def _classes(layout: Layout) -> tuple[str, ...]:
    """Return the class names, after checking that each class has training images."""
    train = layout.splits["train"]
    classes = tuple(train.images)
    if len(classes) < 2:
        why = "; ".join(("a classifier needs two", *map(str, layout.findings)))
        raise EanetError(f"only one class ({classes[0]}) in {train.place}: {why}")
    for split, listing in layout.splits.items():
        if extra := [n for n, files in listing.images.items() if files and n not in classes]:
            raise EanetError(
                f"class {extra[0]!r} is among the {split} images of {listing.place} but not among "
                f"the training images of {train.place}, which must have every class"
            )
    for name, files in train.images.items():
        if not files:
            folder = train.place / name
            others = [file for file in train.others if file.is_relative_to(folder)]
            what = f", only {_count(others, 'file')} {_kinds(others)}" if others else ""
            raise EanetError(f"class folder {folder} has no image{what}: add some, or remove it")
    return classes


def _notes(
    layout: Layout, decoded: Mapping[str, Decoded], outliers: Sequence[tuple[Path, str]]
) -> Iterator[str]:
    """Yield what the user should know, in one line each."""

    def named(files: Sequence[Path]) -> str:
        return some([str(relative(file, layout.root)) for file in files])

    def reasoned(pairs: Sequence[tuple[Path, str]]) -> str:
        return some([f"{relative(file, layout.root)} ({reason})" for file, reason in pairs])

    yield from layout.notes
    if skipped := [pair for part in decoded.values() for pair in part.skipped]:
        yield f"skipped {_count(skipped, 'unreadable image')}: {reasoned(skipped)}"
    if outliers:
        yield f"{_count(outliers, 'image')} unlike the others, worth a look: {reasoned(outliers)}"
    animated = [
        file
        for part in decoded.values()
        for file, original in zip(part.images.files or (), part.originals, strict=True)
        if original.animated
    ]
    if animated:
        yield f"{_count(animated, 'animation')} of which the first frame is used: {named(animated)}"
    others = [file for listing in layout.splits.values() for file in listing.others]
    if loose := [file for file in others if is_image(file)]:
        yield f"ignored {_count(loose, 'image')} outside the class folders: {named(loose)}"
    if rest := [file for file in others if not is_image(file)]:
        yield f"ignored {_count(rest, 'file')} {_kinds(rest)}"
    for split, part in decoded.items():
        counts = zip(part.images.classes, part.images.counts(), strict=True)
        if absent := [name for name, count in counts if not count]:
            # The training images have every class; without, they are all there is to evaluate.
            what = "images" if split == "train" else f"{split} images"
            yield f"no {what} of {some(absent)}"


def _kinds(files: Sequence[Path]) -> str:
    kinds = sorted({file.suffix.lower() or "no extension" for file in files})
    hint = next(filter(None, (missing_plugin(Path(f"x{kind}")) for kind in kinds)), None)
    return f"of other kinds ({', '.join(kinds)}{f'; {hint}' if hint else ''})"


def _count(items: Sequence[object], what: str) -> str:
    return f"{len(items)} {what}" + ("s" if len(items) != 1 else "")
