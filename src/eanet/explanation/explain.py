"""What a classifier attends to in an image, and which regions its answer depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from eanet.deploy.module import RuntimeModule
from eanet.errors import NonFiniteOutputError, WrongArgumentError, unknown_name
from eanet.explanation.neighbours import Neighbour
from eanet.explanation.occlusion import Regions, rate_regions
from eanet.models import Classifier


@dataclass(frozen=True, eq=False)
class UnitMap:
    """What a unit of an attention layer attends to.

    Attributes:
        name: "head 2, slot 17", each counted from 1; "head 2" for self-attention.
        share: the unit's share of how the layer's result varies over the image.
        weights: (g, g), how much the unit attends to each token.
    """

    name: str
    share: float
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """The strongest units of an attention layer.

    Attributes:
        block: number of the layer's block, counted from 1.
        blocks: number of blocks in the model.
        units: number of units in the layer.
        has_slots: whether the units are memory slots rather than heads of self-attention.
        token_side: pixels from one token to the next.
        strongest: the units with the largest shares, largest first.
    """

    block: int
    blocks: int
    units: int
    has_slots: bool
    token_side: int
    strongest: tuple[UnitMap, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explanation of one prediction.

    Attributes:
        model: name of the model.
        pixels: (H, H, 3), as the model saw them.
        predicted: the most probable class.
        confidence: its probability.
        explained: the class that ``regions`` are about.
        probability: of that class.
        regions: what it depends on.
        maps: of the attention; None if the model has none, or PyTorch does not compute it.
        neighbours: training images that are like it to the model, the nearest first.
    """

    model: str
    pixels: NDArray[np.uint8]
    predicted: str
    confidence: float
    explained: str
    probability: float
    regions: Regions
    maps: LayerMaps | None
    neighbours: tuple[Neighbour, ...] = ()


def explain_image(
    model: Classifier | RuntimeModule,
    pixels: NDArray[np.uint8],
    *,
    class_name: str | None = None,
    layer: int | None = None,
    slots: int = 6,
) -> Explanation:
    """Explain how a model classifies an image.

    Args:
        model: takes colour images; set to evaluation mode. Of an exported file, no attention is
            shown.
        pixels: (H, H, 3), of the model's image size.
        class_name: class to explain; the most probable one by default.
        layer: block, counted from 1, whose attention is shown; the last with attention by default.
        slots: number of units of the layer to show, strongest first.

    Raises:
        EanetError: there is no such class or layer, ``slots`` is below 1, or the model's outputs
            are not finite.
    """
    class_name = None if class_name is None else str(class_name)  # digits may be given as numbers
    if class_name is not None and class_name not in model.classes:
        raise unknown_name("class", class_name, model.classes)
    block = _block(model, layer)
    if slots < 1:
        raise WrongArgumentError(f"slots={slots}: should be 1 or more")
    model.eval()
    image = torch.from_numpy(pixels).permute(2, 0, 1).to(model.normalization.mean.device)
    with torch.inference_mode():
        probabilities = model(image.unsqueeze(0)).float().softmax(dim=1)[0]
    if not probabilities.isfinite().all():
        raise NonFiniteOutputError
    predicted = int(probabilities.argmax())
    label = predicted if class_name is None else model.classes.index(class_name)
    return Explanation(
        model.config.name,
        pixels,
        model.classes[predicted],
        probabilities[predicted].item(),
        model.classes[label],
        probabilities[label].item(),
        rate_regions(model, image, label),
        None
        if block is None or isinstance(model, RuntimeModule)
        else _layer_maps(model, image, block, slots),
    )


def _block(model: Classifier | RuntimeModule, layer: int | None) -> int | None:
    """Return the block to show, counted from 0; None if no block has attention."""
    blocks = model.attention_layers
    if layer is None:
        return blocks[-1] if blocks else None
    if layer - 1 not in blocks:
        known = ", ".join(str(block + 1) for block in blocks) or "none"
        raise WrongArgumentError(
            f"layer={layer}: {model.config.name} has no such block with attention; known: {known}"
        )
    return layer - 1


@torch.inference_mode()
def _layer_maps(model: Classifier, image: torch.Tensor, block: int, slots: int) -> LayerMaps:
    maps = model.attention_maps(image.unsqueeze(0), block)
    weights, shares = maps.weights[0].float().cpu(), maps.shares[0].float().cpu()
    heads, per_head, tokens = weights.shape  # (h, S, N)
    grid = math.isqrt(tokens)
    units = []
    for unit in shares.flatten().argsort(descending=True)[:slots].tolist():
        head, slot = divmod(unit, per_head)
        name = f"head {head + 1}" + (f", slot {slot + 1}" if per_head > 1 else "")
        attended = weights[head, slot].view(grid, grid)
        units.append(UnitMap(name, shares[head, slot].item(), attended.numpy()))
    return LayerMaps(
        block + 1,
        len(model.blocks),
        heads * per_head,
        per_head > 1,
        model.embedding.patch_size,
        tuple(units),
    )
