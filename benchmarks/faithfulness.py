"""How faithful explanations are: what hiding the regions that each method ranks first costs.

    python -m benchmarks.faithfulness runs/digits-eanet_nano --images 100

Images are drawn at random. Each method ranks the squares of each image for the class that the model
predicts; the first tenth and the first fifth of them are hidden, and the loss of that class's
probability is averaged over the images. Occlusion covers squares with the model's mean colour. So
that it has no advantage, squares are also covered with those of another image.

- occlusion: Zeiler and Fergus, 2013, arXiv 1311.2901; what `eanet explain` draws.
- integrated gradients, 16 steps from the mean colour: Sundararajan et al., 2017, arXiv 1703.01365.
- HiResCAM, of the last block's tokens: Draelos and Carin, 2020, arXiv 2011.08891.
- attention: how far the last layer's maps deviate from their means, weighted by the units' shares.
- random: in random order.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eanet import Classifier, load_model
from eanet.data.batches import take
from eanet.explanation.occlusion import hide, rate_regions
from eanet.models.tokenizer import patch_size_for
from eanet.report.selection import select_images
from eanet.training.run_directory import RunDirectory

STEPS = 16
SHARES = (0.1, 0.2)  # of the squares that are hidden


def occlusion(model: Classifier, pixels: Tensor, label: int) -> Tensor:
    return torch.from_numpy(rate_regions(model, pixels, label).losses)


def integrated_gradients(model: Classifier, pixels: Tensor, label: int) -> Tensor:
    mean = model.normalization.mean.view(-1, 1, 1)
    steps = (torch.arange(STEPS) + 0.5) / STEPS
    images = mean + (pixels - mean) * steps.view(-1, 1, 1, 1)  # (STEPS, C, H, W)
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(model(images).softmax(1)[:, label].sum(), images)
    return _squares(((pixels - mean) * gradient.mean(0)).sum(0))


def hires_cam(model: Classifier, pixels: Tensor, label: int) -> Tensor:
    with torch.no_grad():
        embedded = model.embedding(model.normalization(pixels[None]))
        tokens = model.blocks(embedded)  # (1, N, d)
    tokens.requires_grad_()
    logit = model.head(model.pooling(model.norm(tokens)))[0, label]
    (gradient,) = torch.autograd.grad(logit, tokens)
    return _of_tokens((tokens * gradient).sum(-1)[0].detach(), model, pixels)


def attention(model: Classifier, pixels: Tensor, label: int) -> Tensor:
    with torch.inference_mode():
        maps = model.attention_maps(pixels[None], model.attention_layers[-1])
        weights, shares = maps.weights[0], maps.shares[0].unsqueeze(-1)  # (h, S, N), (h, S, 1)
        deviations = (weights - weights.mean(-1, keepdim=True)).abs()
        deviations /= deviations.sum(-1, keepdim=True)
        return _of_tokens((deviations * shares).sum((0, 1)), model, pixels)


def random(model: Classifier, pixels: Tensor, label: int) -> Tensor:
    return _squares(torch.rand(pixels.shape[1:]))


METHODS: dict[str, Callable[[Classifier, Tensor, int], Tensor]] = {
    "occlusion": occlusion,
    "integrated gradients": integrated_gradients,
    "HiResCAM": hires_cam,
    "attention": attention,
    "random": random,
}


def _of_tokens(values: Tensor, model: Classifier, pixels: Tensor) -> Tensor:
    side, size = math.isqrt(len(values)), pixels.shape[-1]
    whole = side * model.embedding.patch_size  # may exceed the image
    spread = F.interpolate(values.view(1, 1, side, side), (whole, whole), mode="bilinear")
    return _squares(spread[0, 0, :size, :size])


def _squares(values: Tensor) -> Tensor:
    """Average over each square: ``(H, H)`` to ``(g, g)``."""
    side = patch_size_for(len(values))
    return F.avg_pool2d(values[None, None], side, ceil_mode=True)[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    options = parser.parse_args()
    for run in options.runs:
        measure(run, options.images, options.split)


def measure(run: str, count: int, split: str) -> None:
    torch.manual_seed(0)
    model = load_model(run).requires_grad_(False)
    directory = RunDirectory.open(Path(run))
    settings = directory.read_config().settings
    loading = settings.model_copy(update={"image_size": model.config.image_size})
    chosen = select_images(settings.data, split, loading, model, directory).images
    drawn = np.sort(np.random.default_rng(0).permutation(len(chosen))[:count])
    images, _ = take(chosen.subset(drawn), slice(None))
    with torch.inference_mode():
        before, predicted = model(images).softmax(1).max(1)
    others = images[torch.randperm(len(images))]
    print(f"{run}: {len(images)} {split} images, {100 * before.mean():.1f} points before")
    covers = [f"{share:.0%} {cover}" for cover in ("mean", "other") for share in SHARES]
    print(f"{'points lost by hiding':22}{''.join(f'{text:>11}' for text in covers)}")
    for name, method in METHODS.items():
        if name == "attention" and not model.attention_layers:
            continue
        after = []
        for pixels, other, label in zip(images, others, predicted.tolist(), strict=True):
            order = method(model, pixels, label).flatten().argsort(descending=True)
            hidden = torch.zeros(len(SHARES), len(order), dtype=torch.bool)
            for row, share in zip(hidden, SHARES, strict=True):
                row[order[: max(1, round(share * len(order)))]] = True
            covers = model.normalization.mean.view(-1, 1, 1), other.float()
            covered = torch.cat([hide(pixels, hidden, cover) for cover in covers])
            with torch.inference_mode():
                after.append(model(covered).softmax(1)[:, label])
        lost = (before.unsqueeze(1) - torch.stack(after)).mean(0)
        told = "".join(f"{100 * points:11.1f}" for points in lost.tolist())
        print(f"{name:22}{told}")


if __name__ == "__main__":
    main()
