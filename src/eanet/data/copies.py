"""Images with the same pixels: in several splits, or of several classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eanet.data.findings import Finding
from eanet.data.imageset import ImageSet


def copy_findings(train: ImageSet, held_out: Mapping[str, ImageSet | None]) -> Iterator[Finding]:
    """Find held-out images that are training images, too, and equal images of unequal classes."""
    digests = {
        split: list(images.digests())
        for split, images in {"train": train, **held_out}.items()
        if images is not None
    }
    known, counts = set(digests["train"]), []
    for split in held_out:
        own = digests.get(split, [])
        count = sum(digest in known for digest in own)
        counts += [f"{count:,} of the {len(own):,} {split} images"] if count else []
    if counts:
        yield Finding(
            f"{' and '.join(counts)} have the same pixels as training images, which inflates the "
            "result",
            "group",
            "--group auto keeps copies together; `eanet datasets` lists them",
        )
    labels: dict[bytes, set[int]] = {}
    for split, images in {"train": train, **held_out}.items():
        if images is not None:
            for digest, label in zip(digests[split], images.labels.tolist(), strict=True):
                labels.setdefault(digest, set()).add(label)
    torn = {digest for digest, several in labels.items() if len(several) > 1}
    if torn:
        count = sum(digest in torn for own in digests.values() for digest in own)
        yield Finding(
            f"{count:,} images have the same pixels as one of another class, so that some labels "
            "must be wrong",
            "",
            "`eanet datasets` lists them",
        )
