"""Whether bfloat16 trains like float32: losses of the first steps, side by side.

    python -m benchmarks.precision path/to/cifar

``keras_eanet`` on CIFAR-100 with the recipe ``keras_example``, compiled. Two runs that differ only
in precision are compared with two that differ only in the seed of the weights, the order of the
images, augmentation and dropout.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from eanet.config import TrainSettings
from eanet.device import Machine
from eanet.training.engine import create_fabric
from eanet.training.optimizer import set_step
from eanet.training.plan import resolve
from eanet.training.prepare import initial_model, load_data, open_inputs, plan_run
from eanet.training.updates import Updates

STEPS, WINDOW = 200, 20


def losses(settings: TrainSettings) -> Tensor:
    """Return the losses of the first steps of a training, ``(STEPS,)``."""
    torch._dynamo.reset()
    inputs, machine = open_inputs(settings), Machine.here(settings.device)
    fabric, (planned, _) = create_fabric(settings), plan_run(inputs, machine)[0]
    dataset = load_data(inputs.source, planned, fabric)
    resolved, _ = resolve(planned, dataset, 0, machine)
    model = initial_model(planned, dataset, None)
    updates = Updates(model, resolved, dataset.train, fabric)
    found = []
    for number in range(STEPS):
        set_step(updates.optimizer, resolved, number, number / len(updates.batches))
        loss, _, _, count = updates(0, number).tolist()
        found.append(loss / count)
    return torch.tensor(found)


def main() -> None:
    common = {"data": "cifar100", "data_dir": sys.argv[1], "recipe": "keras_example"}
    common["model"] = "keras_eanet"
    runs = {}
    for precision, seed in (("fp32", 0), ("bf16", 0), ("fp32", 1)):
        settings = TrainSettings.with_recipe(**common, precision=precision, seed=seed, compile="on")
        runs[precision, seed] = losses(settings).view(-1, WINDOW).mean(1)
    base, half, other = runs.values()
    print(f"{'steps':>9}{'fp32':>9}{'bf16':>9}{'difference':>12}{'another seed, fp32':>20}")
    for i, (a, b, c) in enumerate(zip(base, half, other, strict=True)):
        steps = f"{i * WINDOW + 1}-{(i + 1) * WINDOW}"
        print(f"{steps:>9}{a:9.4f}{b:9.4f}{abs(a - b):12.4f}{abs(a - c):20.4f}")
    print(f"mean difference {(base - half).abs().mean():.4f}, between seeds ", end="")
    print(f"{(base - other).abs().mean():.4f}; means of {WINDOW} steps each")


if __name__ == "__main__":
    main()
