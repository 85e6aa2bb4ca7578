"""Which images make up a step is a pure function of seed, epoch and step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eanet.data.batches import (
    LARGEST_BATCH,
    SMALLEST_BATCH,
    STEPS_AN_EPOCH,
    Batches,
    default_batch_size,
    derive_seed,
    in_order,
    take,
)
from eanet.data.imageset import ImageSet


def image_set(count: int) -> ImageSet:
    """Each image's pixels state its number."""
    images = np.arange(count * 12, dtype=np.int64).reshape(count, 2, 2, 3) // 12
    return ImageSet(images.astype(np.uint8), np.arange(count) % 3, ("a", "b", "c"))


@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 99), st.integers(0, 99))
def test_every_image_comes_once_an_epoch_and_the_last_step_is_filled_up(count, size, seed, epoch):
    batches = Batches(image_set(count), size, seed)
    order = batches.order(epoch)
    assert order.shape == (len(batches), batches.batch_size)
    assert batches.batch_size == min(size, count)
    flat = order.flatten()
    assert sorted(flat[:count].tolist()) == list(range(count))
    assert torch.equal(flat[count:], flat[: len(flat) - count])
    assert torch.equal(order, Batches(image_set(count), size, seed).order(epoch))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [Batches(image_set(100), 10, seed).order(epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order.flatten().tolist()) for order in orders}) == 4


def test_seeds_depend_on_every_number_and_its_place():
    seeds = [derive_seed(*n) for n in [(0,), (1,), (0, 1), (1, 0), (1, 1), (0, 0, 1), (1, 256)]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(st.integers(1, 100_000))
def test_the_default_batch_leaves_small_sets_enough_steps(count):
    size = default_batch_size(count)
    assert SMALLEST_BATCH <= size <= LARGEST_BATCH
    assert size == SMALLEST_BATCH or count >= size * STEPS_AN_EPOCH
    assert size == LARGEST_BATCH or count < 2 * size * STEPS_AN_EPOCH


def test_pixels_come_channels_first_with_their_labels():
    images = image_set(7)
    pixels, labels = take(images, torch.tensor([5, 2]))
    assert pixels.shape == (2, 3, 2, 2)
    assert pixels.dtype == torch.uint8
    assert pixels.is_contiguous()
    assert pixels[:, 0, 0, 0].tolist() == [5, 2]
    assert labels.tolist() == [2, 2]
    pixels[:] = 0  # a copy: the set itself is left alone
    assert images.images[5].max() == 5


def test_in_order_gives_all_images_once():
    batches = list(in_order(image_set(7), 3))
    assert [len(labels) for _, labels in batches] == [3, 3, 1]
    assert [int(p[0, 0, 0]) for pixels, _ in batches for p in pixels] == list(range(7))


def test_processes_share_out_what_is_in_order():
    shares = [list(in_order(image_set(7), 2, rank, 3)) for rank in range(3)]
    found = [[int(p[0, 0, 0]) for pixels, _ in share for p in pixels] for share in shares]
    assert found == [[0, 1, 6], [2, 3], [4, 5]]


@pytest.fixture
def unequal():
    labels = np.repeat([0, 1, 2], [3, 14, 60]).astype(np.int64)
    return ImageSet(np.zeros((77, 2, 2, 3), np.uint8), labels, ("few", "some", "many"))


def test_balanced_epochs_show_every_class_alike_and_each_image_of_a_class_as_often(unequal):
    batches = Batches(unequal, 7, seed=0, balanced=True)
    order = batches.order(0).flatten()
    assert len(order) == 77
    assert sorted(np.bincount(unequal.labels[order])) == [25, 26, 26]
    for label in range(3):
        times = np.bincount(order, minlength=77)[unequal.labels == label]
        assert times.max() - times.min() <= 2


def test_balanced_epochs_show_many_classes_alike():
    labels = np.arange(25, dtype=np.int64) % 10
    images = ImageSet(np.zeros((25, 2, 2, 3), np.uint8), labels, tuple("abcdefghij"))
    often = set()
    for epoch in range(12):
        order = Batches(images, 25, seed=0, balanced=True).order(epoch).flatten()
        counts = np.bincount(labels[order])
        assert sorted(counts) == [2] * 5 + [3] * 5
        often |= set(np.flatnonzero(counts == 3).tolist())
    assert often == set(range(10)), "the classes that come once more change"


def test_balanced_epochs_come_round_to_all_images_and_follow_seed_and_epoch(unequal):
    batches = Batches(unequal, 7, seed=0, balanced=True)
    epochs = [batches.order(epoch) for epoch in range(20)]
    assert len(torch.cat(epochs).unique()) == 77
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(epochs[3], Batches(unequal, 7, seed=0, balanced=True).order(3))
    assert not torch.equal(epochs[0], Batches(unequal, 7, seed=1, balanced=True).order(0))
