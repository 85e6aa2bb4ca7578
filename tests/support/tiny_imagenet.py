"""A miniature of Tiny ImageNet."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"n01443537": "goldfish, Carassius auratus", "n02123045": "tabby, tabby cat"}


def image(number: int) -> bytes:
    random = np.random.default_rng(number)
    content = io.BytesIO()
    pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "JPEG")
    return content.getvalue()


def members() -> dict[str, bytes]:
    """The files of the archive: 10 training images of each class, 2 labelled others, 2 without."""
    files = {
        f"train/{code}/images/{code}_{number}.JPEG": image(100 * place + number)
        for place, code in enumerate(CLASSES)
        for number in range(10)
    }
    boxes = {f"train/{code}/{code}_boxes.txt": b"" for code in CLASSES}
    others = {
        f"{split}/images/{split}_{n}.JPEG": image(n) for split in ("val", "test") for n in (7, 8)
    }
    first, second = CLASSES
    rows = f"val_7.JPEG\t{second}\t0\t0\t9\t9\nval_8.JPEG\t{first}\t1\t1\t8\t8\n"
    words = "\n".join("\t".join(pair) for pair in [("n00001740", "entity"), *CLASSES.items()])
    texts = {
        "val/val_annotations.txt": rows.encode(),
        "wnids.txt": "\n".join(CLASSES).encode(),
        "words.txt": words.encode(),
    }
    return {**files, **boxes, **others, **texts}


def pack(folder: Path) -> Path:
    """Write the archive into a folder."""
    with zipfile.ZipFile(folder / "tiny-imagenet-200.zip", "w") as archive:
        for name, content in members().items():
            archive.writestr(f"tiny-imagenet-200/{name}", content)
    return folder / "tiny-imagenet-200.zip"
