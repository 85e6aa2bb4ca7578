"""The images of each training step: a pure function of seed, epoch and step."""

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
    """Derive one 63-bit seed from several numbers, such as (seed, epoch, step).

    It is a hash, since `numpy.random.SeedSequence` gives (1,) and (1, 0) the same state.
    """
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def default_batch_size(images: int) -> int:
    """Return 128, or the largest power of two with at least 16 steps per epoch, but at least 8."""
    size = LARGEST_BATCH
    while size > SMALLEST_BATCH and images < size * STEPS_AN_EPOCH:
        size //= 2
    return size


class Batches:
    """The steps of a training epoch over an image set, all of the same size.

    Every epoch contains every image. The last step is filled up with the epoch's first images, so
    that shapes never change.

    Args:
        images: the training images.
        batch_size: images per step over all processes; reduced to the number of images.
        seed: seed of the order.
        balanced: instead, represent all classes equally in epochs of the same length. Images of
            small classes are repeated evenly; of large classes, each epoch has a random part.
    """

    def __init__(
        self, images: ImageSet, batch_size: int, seed: int, *, balanced: bool = False
    ) -> None:
        self.images = images
        self.batch_size = min(batch_size, len(images))
        self.seed = seed
        self.balanced = balanced

    def __len__(self) -> int:
        """Return the number of steps per epoch."""
        return -(-len(self.images) // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Return the indices ``(steps, batch_size)`` of the images in each step of an epoch."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        order = torch.randperm(len(self.images), generator=generator)
        if self.balanced:
            order = self._of_every_class_alike(order, generator)
        filled = order[torch.arange(len(self) * self.batch_size) % len(order)]
        return filled.view(len(self), self.batch_size)

    def _of_every_class_alike(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Balance the classes of a random ``order``; return as many indices, shuffled again."""
        labels = torch.from_numpy(self.images.labels)[order]
        members = [order[labels == label] for label in labels.unique()]
        rounds = torch.arange(-(-len(order) // len(members)))
        drawn = torch.stack([of_class[rounds % len(of_class)] for of_class in members])  # (K, r)
        drawn = drawn[torch.randperm(len(drawn), generator=generator)]
        # One image of each class in turn, so that a last round may lack some classes.
        drawn = drawn.T.flatten()[: len(order)]
        return drawn[torch.randperm(len(drawn), generator=generator)]


def take(images: ImageSet, indices: Tensor | slice) -> tuple[Tensor, Tensor]:
    """Return pixels ``(B, C, H, W)``, uint8, and labels ``(B,)`` of the images at ``indices``."""
    index = indices if isinstance(indices, slice) else indices.numpy()
    pixels = torch.from_numpy(np.array(images.images[index]))  # (B, H, W, C)
    labels = torch.from_numpy(np.array(images.labels[index]))
    # Channels first in memory: code compiled for interleaved channels is not vectorised.
    return pixels.permute(0, 3, 1, 2).contiguous(), labels


def in_order(
    images: ImageSet, batch_size: int, rank: int = 0, processes: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images once, in stored order, as from `take`; the last batch may be smaller.

    With several processes, each takes every ``processes``-th batch, starting at its rank.
    """
    for start in range(rank * batch_size, len(images), processes * batch_size):
        yield take(images, slice(start, start + batch_size))
