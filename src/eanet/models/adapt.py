"""Adapt a trained model to other classes or another image size, to fine-tune it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from eanet.model_files.preprocessing import Preprocessing
from eanet.models.classifier import Classifier
from eanet.models.registry import create_model

POSITION = "embedding.position"
HEAD = ("head.weight", "head.bias")
DETECTOR = "detector."


def resize_positions(weights: Mapping[str, Tensor], grid: int) -> dict[str, Tensor]:
    """Return a model's state with its learned positions resampled to ``grid x grid`` tokens.

    Bicubic; Dosovitskiy et al., 2020, arXiv 2010.11929, section 3.2.

    Args:
        weights: a `Classifier`'s state; not changed.
        grid: tokens along a side.
    """
    position = weights[POSITION]  # (g*g, d)
    side = math.isqrt(len(position))
    if side == grid:
        return dict(weights)
    maps = position.float().mT.unflatten(1, (side, side)).unsqueeze(0)  # (1, d, g, g)
    maps = F.interpolate(maps, (grid, grid), mode="bicubic", antialias=True)
    return {**weights, POSITION: maps.squeeze(0).flatten(1).mT.to(position.dtype)}


def adapt_weights(
    trained: Classifier, model: Classifier, *, new_head: bool = False
) -> tuple[str, ...]:
    """Load the weights of a trained model into one of the same architecture.

    The trained position embeddings are resampled. A detector of unknown images is left out, since
    it measures features that will change. The trained normalisation is kept, since the
    weights were learned with it. The trained head keeps the rows of the classes that it knows by
    name. Those of others are the mean of its rows and what they are in ``model``: the mean changes
    no probability if all rows have it, and gives new classes neither a head start nor the opposite.

    Args:
        trained: not changed.
        model: for its own classes and image size, with the patch size of ``trained``.
        new_head: keep the head of ``model`` as it is.

    Returns:
        The classes whose rows of the trained head were kept.
    """
    learned = {k: v for k, v in trained.state_dict().items() if not k.startswith(DETECTOR)}
    state = resize_positions(learned, model.embedding.grid)
    kept = () if new_head else tuple(name for name in model.classes if name in trained.classes)
    head = {name: model.state_dict()[name].clone() for name in HEAD}
    if kept:
        rows = [model.classes.index(name) for name in kept]
        trained_rows = [trained.classes.index(name) for name in kept]
        for name, values in head.items():  # (K, ...)
            learned_values = state[name].to(values)
            values += learned_values.mean(dim=0)
            values[rows] = learned_values[trained_rows]
    model.load_state_dict(state | head)
    return kept


def adapt_model(
    model: Classifier,
    *,
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
    image_size: int | None = None,
    preprocessing: Preprocessing | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
) -> Classifier:
    """Return a copy of a model for other classes, or for images of another size.

    A token covers as many pixels as before, so the number of tokens changes with the image size.
    See `adapt_weights` for what is kept of the weights.

    Args:
        model: not changed; the copy is on its device and in its mode, with nothing frozen.
        classes: names of the classes; the model's own unless ``num_classes`` is given.
        num_classes: number of unnamed classes, for which the head is new.
        image_size: side of the square images, in pixels; the model's own unless given.
        preprocessing: how the new images become pixels; as the model's own unless given.
        dropout: rate of dropout; the model's own unless given.
        drop_path: rate of stochastic depth; the model's own unless given.

    Raises:
        EanetError: a number is out of range.
    """
    config = model.config
    rates = {"dropout": dropout, "drop_path": drop_path}
    settings = {**config.settings, "patch_size": model.embedding.patch_size}
    adapted = create_model(
        config.name,
        classes=config.classes if classes is None and num_classes is None else classes,
        num_classes=num_classes,
        image_size=config.image_size if image_size is None else image_size,
        in_channels=config.in_channels,
        preprocessing=config.preprocessing if preprocessing is None else preprocessing,
        **settings | {name: rate for name, rate in rates.items() if rate is not None},
    )
    adapted.to(model.head.weight)  # device and type
    adapt_weights(model, adapted, new_head=classes is None and num_classes is not None)
    return adapted.train(model.training)


CHANGES = tuple(inspect.signature(adapt_model).parameters)[1:]
"""What `adapt_model` can change."""
