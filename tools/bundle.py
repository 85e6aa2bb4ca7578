"""Puts the model of a finished run into the package, with how it was trained and what it scores.

    python -m tools.bundle runs/cifar100-eanet_tiny eanet_tiny_cifar100 [--half]

The file is first evaluated on the run's test images, and refused unless it scores what the run's
``metrics.json`` says. A detector of unknown images stays behind: it would be a tenth of the file,
and whoever fine-tunes the model fits another. ``--half`` stores the weights in half precision, if
that does not change the scores.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from eanet.errors import EanetError
from eanet.files import read_text, replacing
from eanet.metrics.evaluation import evaluate_model
from eanet.model_files import find
from eanet.model_files.weights_file import read_metadata
from eanet.models import Classifier, load_model
from eanet.training.run_data import load_run_data, open_run_source
from eanet.training.run_directory import RunDirectory

MOST_BYTES = 1_600_000  # it is part of every checkout and install
SCORES = ("top1", "top5")


def bundle(run: Path, name: str, *, half: bool = False) -> Path:
    """Write a run's model as a file of the package.

    Raises:
        EanetError: there is no such run, or the file is too large or scores differently.
    """
    file = find.find_model(run)
    tensors = {k: t for k, t in load_file(file).items() if not k.startswith("detector.")}
    if half:
        learned = {k: t for k, t in tensors.items() if not k.startswith("normalization.")}
        tensors |= {k: t.half() for k, t in learned.items() if t.is_floating_point()}
    directory = RunDirectory.open(run)
    metrics = json.loads(read_text(run / "metrics.json"))
    described = read_metadata(file) | {"training": training(directory, metrics)}
    described.pop("unknown", None)
    path = find.BUNDLED / f"{name}.safetensors"
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, {"format": "pt", "eanet": json.dumps(described)}))
        if (size := partial.stat().st_size) > MOST_BYTES:
            raise EanetError(f"{size:,} bytes are more than {MOST_BYTES:,}")
        check(load_model(partial), directory, metrics)
    return path


def training(run: RunDirectory, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return what the model card says about the training."""
    config, settings = run.read_config(), run.read_config().resolved
    return {
        "data": config.data.name,
        "images": config.data.images,
        "recipe": settings.recipe,
        "epochs": len(run.read_history()),
        "seed": settings.seed,
        **{
            key: getattr(config.environment, key) for key in ("date", "eanet", "torch", "processor")
        },
        **{key: metrics[key] for key in SCORES},
    }


def check(model: Classifier, run: RunDirectory, metrics: Mapping[str, float]) -> None:
    """Raise an `EanetError` unless the model scores what its run says, to the last digit."""
    settings = run.read_config().resolved
    options = settings.model_copy(update={"image_size": model.config.image_size})
    source = open_run_source(run, "put them back")
    scored = evaluate_model(model, load_run_data(run, source, options).test).metrics()
    for key in SCORES:
        if scored[key] != metrics[key]:
            raise EanetError(f"{key} is {scored[key]:.4%}, of the run {metrics[key]:.4%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--half", action="store_true")
    options = parser.parse_args()
    print(f"wrote {bundle(options.run, options.name, half=options.half)}")


if __name__ == "__main__":
    main()
