"""Explain image files: one picture per image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import MofNCompleteColumn

from eanet.console import notice, progress_bar
from eanet.data.decode import UnreadableImageError, decode_image
from eanet.data.parallel import in_parallel
from eanet.deploy.module import RuntimeModule
from eanet.explanation.explain import explain_image
from eanet.explanation.picture import plot_explanation
from eanet.files import readable, user_path
from eanet.models import Classifier, ModelConfig


def explain_files(
    model: Classifier | RuntimeModule,
    images: Sequence[Path],
    folder: Path,
    *,
    class_name: str | None = None,
    layer: int | None = None,
    slots: int = 6,
) -> tuple[Path, ...]:
    """Draw one picture per image; unreadable images are reported and skipped.

    A picture is named after its image, in the same subfolders below the images' common folder. If
    the name is taken, ``-2`` and so on is appended: nothing is overwritten.

    Args:
        model: takes colour images.
        images: the image files.
        folder: where the pictures are written.
        class_name: as in `explain_image`.
        layer: as in `explain_image`.
        slots: as in `explain_image`.

    Returns:
        The pictures.

    Raises:
        EanetError: as in `explain_image`, or a picture cannot be written.
    """
    parents = [os.path.abspath(image.parent) for image in images]  # noqa: PTH100 (resolves "..")
    common = os.path.commonpath(parents) if parents else ""
    decoded = in_parallel(partial(_decode, config=model.config), images)
    pictures = []
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("explaining", total=len(images))
        for image, parent, pixels in zip(images, parents, decoded, strict=True):
            if isinstance(pixels, UnreadableImageError):
                notice(f"eanet: error: {pixels}")
            else:
                explanation = explain_image(
                    model, pixels, class_name=class_name, layer=layer, slots=slots
                )
                path = _free(folder / os.path.relpath(parent, common), image.stem)
                pictures.append(plot_explanation(explanation, path, name=readable(image.name)))
            bar.advance(task)
    return tuple(pictures)


def explain_folder(where: str | Path) -> Path:
    """Return the default folder for pictures: in the run directory, or in the current one."""
    path = user_path(where)
    return path / "explain" if path.is_dir() else Path("explain")


def _decode(image: Path, config: ModelConfig) -> NDArray[np.uint8] | UnreadableImageError:
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
