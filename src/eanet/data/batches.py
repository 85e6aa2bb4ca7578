"""Which images make up each step: a pure function of seed, epoch and step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from eanet.data.imageset import ImageSet

LARGEST_BATCH = 128
SMALLEST_BATCH = 8
STEPS_AN_EPOCH = 16


def derive_seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers, such as (seed, epoch, step).

    A hash, since `numpy.random.SeedSequence` gives (1,) and (1, 0) the same state.
    """
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def default_batch_size(images: int) -> int:
    """128, or the largest power of two that leaves an epoch at least 16 steps, but at least 8."""
    size = LARGEST_BATCH
    while size > SMALLEST_BATCH and images < size * STEPS_AN_EPOCH:
        size //= 2
    return size


class Batches:
    """The steps of a training epoch over an image set, all of one size.

    Every image is seen in every epoch; the last step is filled up from the epoch's beginning, so
    that the shapes never change.

    Args:
        images: what to train on.
        batch_size: images a step, over all processes; no more than there are images.
        seed: of the order.
        balanced: instead, an epoch shows as many images, of every class alike. Those of a small
            class come again, each as often as the others; of a large one, other epochs show others.
    """

    def __init__(
        self, images: ImageSet, batch_size: int, seed: int, *, balanced: bool = False
    ) -> None:
        self.images = images
        self.batch_size = min(batch_size, len(images))
        self.seed = seed
        self.balanced = balanced

    def __len__(self) -> int:
        """Steps an epoch."""
        return -(-len(self.images) // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Indices ``(steps, batch_size)`` of the images of each step of an epoch."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        order = torch.randperm(len(self.images), generator=generator)
        if self.balanced:
            order = self._of_every_class_alike(order, generator)
        filled = order[torch.arange(len(self) * self.batch_size) % len(order)]
        return filled.view(len(self), self.batch_size)

    def _of_every_class_alike(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """As many indices as in a random ``order``, in a random order again."""
        labels = torch.from_numpy(self.images.labels)[order]
        members = [order[labels == label] for label in labels.unique()]
        share = torch.arange(-(-len(order) // len(members)))  # (images of each class,)
        drawn = torch.cat([of_class[share % len(of_class)] for of_class in members])
        return drawn[torch.randperm(len(drawn), generator=generator)][: len(order)]


def take(images: ImageSet, indices: Tensor | slice) -> tuple[Tensor, Tensor]:
    """Pixels ``(B, C, H, W)``, uint8, and labels ``(B,)`` of the images at ``indices``."""
    index = indices if isinstance(indices, slice) else indices.numpy()
    pixels = torch.from_numpy(np.array(images.images[index]))  # (B, H, W, C)
    labels = torch.from_numpy(np.array(images.labels[index]))
    # One channel after the other: the code compiled for three channels a pixel is not vectorised.
    return pixels.permute(0, 3, 1, 2).contiguous(), labels


def in_order(
    images: ImageSet, batch_size: int, rank: int = 0, processes: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """All images once, as they stand, as `take` gives them; the last batch may be smaller.

    Of several processes, each takes every ``processes``-th batch, from that of its rank on.
    """
    for start in range(rank * batch_size, len(images), processes * batch_size):
        yield take(images, slice(start, start + batch_size))
