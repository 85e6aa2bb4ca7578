"""Explain image files: one picture per image."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import MofNCompleteColumn

from eanet.console import notice, progress_bar
from eanet.data.arrays import decode_for, each_image
from eanet.data.decode import UnreadableImageError, decode_image
from eanet.data.find import find_images
from eanet.data.parallel import in_parallel
from eanet.deploy.module import open_model
from eanet.deploy.runtime import Pixels, RuntimeName
from eanet.errors import WrongArgumentError
from eanet.explanation.explain import Explanation, explain_image
from eanet.explanation.neighbours import TrainingImages
from eanet.explanation.picture import plot_explanation
from eanet.files import readable, user_path
from eanet.model_files.config import ModelConfig
from eanet.pages.notebook import show

IN_MEMORY = Path("image")  # how an image without a file is called
MOST_NEIGHBOURS = 12


class Pictures(tuple[Path, ...]):
    """The paths of the pictures (PNG), one for each image that could be read, in their order.

    A notebook shows the pictures themselves.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        count = f"{len(self):,} picture{'s' * (len(self) != 1)}"
        return show(f"{count} of what answers rest on", pictures=self)


@dataclass(frozen=True)
class Explained:
    """How many images there were, and the pictures of those that could be read."""

    images: int
    pictures: Pictures


def explain_files(
    where: str | Path,
    images: Any,
    listing: Iterable[str] = (),
    *,
    output: str | Path | None = None,
    class_name: str | None = None,
    layer: int | None = None,
    slots: int = 6,
    neighbours: int = 0,
    device: str = "auto",
    runtime: RuntimeName = "auto",
) -> Explained:
    """Draw one picture per image; unreadable images are reported and skipped.

    A picture is named after its image, in the same subfolders below the images' common folder. If
    the name is taken, ``-2`` and so on is appended: nothing is overwritten.

    Args:
        where: a run directory, a model file, an exported file, a bundled model or a Hub id.
        images: one or several: paths, as in `find_images`, open files, Pillow images or arrays.
        listing: as in `find_images`.
        output: folder for the pictures; unless given, ``explain`` in the run directory, or
            ``./explain`` if ``where`` is no folder.
        class_name: as in `explain_image`.
        layer: as in `explain_image`.
        slots: as in `explain_image`.
        neighbours: number of training images to show that are most like the image to the model, of
            a run whose images are still there.
        device: where to compute.
        runtime: as in `open_model`.

    Raises:
        EanetError: as in `open_model`, `find_images`, `explain_image` and `TrainingImages`, or a
            picture cannot be written.
    """
    if not 0 <= neighbours <= MOST_NEIGHBOURS:
        raise WrongArgumentError(f"neighbours={neighbours}: should be 0 to {MOST_NEIGHBOURS}")
    model = open_model(where, runtime, device)
    found = list(_images(images, listing, model.config))
    folder = _default_folder(where) if output is None else user_path(output)
    train = TrainingImages(user_path(where), model) if neighbours else None

    def explain(pixels: Pixels) -> Explanation:
        found = explain_image(model, pixels, class_name=class_name, layer=layer, slots=slots)
        return (
            found if train is None else replace(found, neighbours=train.nearest(pixels, neighbours))
        )

    return Explained(len(found), Pictures(_draw(explain, model.config, found, folder)))


def _images(images: Any, listing: Iterable[str], config: ModelConfig) -> Iterator[Path | Pixels]:
    """Yield files, and what the model sees of other images, of which one may occur twice."""
    for image in each_image(images):
        if isinstance(image, str | os.PathLike):
            yield from find_images([os.fspath(image)], listing)
        else:
            yield decode_for(config, image)


def _draw(
    explain: Callable[[Pixels], Explanation],
    config: ModelConfig,
    images: Sequence[Path | Pixels],
    folder: Path,
) -> list[Path]:
    files = [image if isinstance(image, Path) else None for image in images]
    parents = [os.path.abspath(file.parent) if file else "" for file in files]  # noqa: PTH100
    named = list(filter(None, parents))  # absolute, without ".."
    common = os.path.commonpath(named) if named else ""
    decoded = in_parallel(partial(_decode, config=config), images)
    pictures = []
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("explaining", total=len(images))
        for file, parent, pixels in zip(files, parents, decoded, strict=True):
            if isinstance(pixels, UnreadableImageError):
                notice(f"eanet: error: {pixels}")
            else:
                name = file or IN_MEMORY
                place = folder / os.path.relpath(parent, common) if parent else folder
                path = _free(place, name.stem)
                pictures.append(plot_explanation(explain(pixels), path, name=readable(name.name)))
            bar.advance(task)
    return pictures


def _default_folder(where: str | Path) -> Path:
    """Return the folder for pictures: in the run directory, or in the current one."""
    path = user_path(where)
    return path / "explain" if path.is_dir() else Path("explain")


def _decode(image: Path | Pixels, config: ModelConfig) -> Pixels | UnreadableImageError:
    if not isinstance(image, Path):
        return image
    try:
        return decode_image(image, config.image_size, config.preprocessing)
    except UnreadableImageError as error:
        return error


def _free(folder: Path, stem: str) -> Path:
    path, number = folder / f"{stem}.png", 1
    while os.path.lexists(path):
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path
