"""Tiny ImageNet (Stanford CS231n, 2015): ImageNet at 64 x 64 pixels, 200 of its classes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from eanet.config import DataSettings
from eanet.data.archive import is_archive, unpacked
from eanet.data.folder import open_layout
from eanet.data.image_files import load_image_files
from eanet.data.published import find_published
from eanet.data.registry import Default, register_dataset
from eanet.data.splits import SourceSplits
from eanet.errors import EanetError
from eanet.model_files.preprocessing import DEFAULT

FOLDER = "tiny-imagenet-200"
URL = f"http://cs231n.stanford.edu/{FOLDER}.zip"
SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
NAMES = "words.txt"
SIZE = 64


@register_dataset(
    "tiny-imagenet",
    "110,000 photographs, 64 x 64, 200 classes, 248 MB",
    image_size=SIZE,
    defaults=(
        Default("model", "eanet_tiny", "made for small photographs"),
        Default("recipe", "cifar", "made for as many small photographs"),
    ),
)
def load_tiny_imagenet(settings: DataSettings) -> SourceSplits:
    """Load Tiny ImageNet: 100,000 training images, and as test images the 10,000 for validation.

    The labels of its own test images were never published. Classes have the first name that
    WordNet gives them.
    """
    place = find_published(settings, URL, SHA256, folder=FOLDER, member="wnids.txt")
    with unpacked(place) if is_archive(place) else nullcontext(place) as folder:
        root = folder / FOLDER if (folder / FOLDER).is_dir() else folder
        names = root / NAMES if (root / NAMES).is_file() else None
        own = settings.model_copy(
            update={"layout": "splits", "names": names, "image_size": settings.image_size or SIZE}
        )
        with open_layout(root, own) as layout:
            if not layout.splits.keys() >= {"train", "validation"}:
                raise EanetError(f"{place} is not Tiny ImageNet: it has no labelled train and val")
            labelled = {"train": layout.splits["train"], "test": layout.splits["validation"]}
            return load_image_files(replace(layout, splits=labelled, notes=()), own, DEFAULT)
