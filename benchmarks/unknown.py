"""Which score tells pictures of unknown things from images of the known classes?

    python -m benchmarks.unknown RUN FOLDER... [--data DATA] [--data-dir FOLDER]

Every score gets its threshold on the validation images, 5 % of which it rejects, and is judged on
the test images and on the pictures in each folder. Printed as Markdown: the share of the test
images that is rejected, and for each folder the share rejected and the AUROC.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from eanet.config import RUN_CONFIG, DataSettings
from eanet.data.decode import read_image
from eanet.data.find import find_images
from eanet.data.imageset import ImageSet
from eanet.data.source import open_source
from eanet.metrics.evaluation import computed
from eanet.metrics.unknown import fit_detector
from eanet.models import Classifier, load_model
from eanet.models.unknown import FALSE_REJECTIONS
from eanet.training.run_directory import RunDirectory

NEIGHBOURS = 10
MOST = 2_000  # pictures of a folder, and training images to look for neighbours in

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]  # features (n, dim), logits (n, K)
Score = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.floating]]


def scores(model: Classifier, known: NDArray[np.float32]) -> dict[str, Score]:
    """Return scores that are high for what is known, by name.

    Args:
        model: with a detector.
        known: features of training images, (m, dim).
    """
    unit = known / np.linalg.norm(known, axis=1, keepdims=True)

    def neighbour(features: NDArray[np.float32], _: NDArray[np.float32]) -> NDArray[np.floating]:
        cosines = features / np.linalg.norm(features, axis=1, keepdims=True) @ unit.T  # (n, m)
        return np.sort(cosines, axis=1)[:, -NEIGHBOURS]

    def mahalanobis(features: NDArray[np.float32], _: NDArray[np.float32]) -> NDArray[np.floating]:
        assert model.detector is not None
        return -model.detector(torch.from_numpy(features)).numpy()

    def entropy(_: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.floating]:
        p = softmax(logits, axis=1)
        return (p * np.log(p + 1e-30)).sum(axis=1)

    return {
        "highest probability": lambda _, logits: softmax(logits, axis=1).max(axis=1),
        "entropy": entropy,
        "highest logit": lambda _, logits: logits.max(axis=1),
        "energy": lambda _, logits: logsumexp(logits, axis=1),
        f"cosine to neighbour {NEIGHBOURS}": neighbour,
        "Mahalanobis distance": mahalanobis,
    }


def outputs(model: Classifier, images: ImageSet) -> Outputs:
    """Compute features and logits of all images."""

    def both(pixels: torch.Tensor) -> list[torch.Tensor]:
        features = model.pooled_features(pixels)
        return [features, model.head(features)]

    features, logits = computed(both, images, "cpu")
    return features, logits


def pictures(folder: str, model: Classifier) -> ImageSet:
    """Read the pictures of a folder as the model sees them."""
    config = model.config
    files = find_images([folder])
    files = files[:: -(-len(files) // MOST)]
    pixels = [read_image(file, config.image_size, config.preprocessing)[0] for file in files]
    return ImageSet(np.stack(pixels), np.zeros(len(pixels), np.int64), model.classes)


def table(model: Classifier, data: str, settings: DataSettings, folders: list[str]) -> str:
    """Measure every score and return the table."""
    sets = open_source(data).load(settings, model.config.preprocessing)
    assert sets.validation is not None
    fit_detector(model, sets.train, sets.validation)
    some = sets.train.subset(np.random.default_rng(0).permutation(len(sets.train))[:MOST])
    known = outputs(model, some)[0]
    held_out, test = (outputs(model, images) for images in (sets.validation, sets.test))
    others = [outputs(model, pictures(folder, model)) for folder in folders]
    names = [Path(folder).name for folder in folders]
    lines = [f"| score | test images | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for name, score in scores(model, known).items():
        threshold = np.quantile(score(*held_out), FALSE_REJECTIONS)
        right = score(*test)
        cells = [f"{(right < threshold).mean():.1%}"]
        for other in others:
            wrong = score(*other)
            is_known = np.repeat([True, False], [len(right), len(wrong)])
            auroc = roc_auc_score(is_known, np.append(right, wrong))
            cells.append(f"{(wrong < threshold).mean():.1%}, {auroc:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", metavar="RUN")
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--data", help="what a model file was trained on; unset: as for the run")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    model, path = load_model(options.model), Path(options.model)
    settings, data = DataSettings(data_dir=options.data_dir), options.data
    if (path / RUN_CONFIG).is_file():
        settings = RunDirectory.open(path).read_config().resolved
        data = data or settings.data
    settings = settings.model_copy(update={"image_size": model.config.image_size})
    print(table(model, data, settings, options.folders))


if __name__ == "__main__":
    main()
