"""What a GPU computes, trains and predicts, beside the processor; skipped where there is none.

With EANET_TEST_DEVICE=cpu all of it runs on the processor, which shows that the tests hold.
"""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import eanet
from eanet.device import has_bf16, has_compiler, resolve_device
from eanet.models.registry import models
from eanet.training import updates


@pytest.fixture(scope="module")
def gpu(gpus: Any) -> Iterator[str]:
    asked = os.environ.get("EANET_TEST_DEVICE")
    gpus.show()
    try:
        device = resolve_device(asked or "auto")
        if device == "cpu" and asked is None:
            pytest.skip("no GPU here")
        yield device
    finally:
        gpus.hide()


def loss_and_gradients(name: str, device: str) -> tuple[Tensor, list[Tensor]]:
    """Of four images, in training, from the same weights on every device."""
    torch.manual_seed(0)
    model = eanet.create_model(name, num_classes=10, image_size=32).to(device)
    images, labels = torch.randint(256, (4, 3, 32, 32)), torch.arange(4)
    loss = torch.nn.functional.cross_entropy(model(images.float().to(device)), labels.to(device))
    loss.backward()
    return loss.detach().cpu(), [p.grad.cpu() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", [entry.name for entry in models()])
def test_loss_and_gradients_are_those_of_the_processor(gpu: str, name: str) -> None:
    (loss, ours), (expected_loss, expected) = (loss_and_gradients(name, d) for d in (gpu, "cpu"))
    torch.testing.assert_close(loss, expected_loss, rtol=1e-2, atol=0)
    assert len(ours) == len(expected)
    largest = max(gradient.norm() for gradient in expected)
    for gradient, wanted in zip(ours, expected, strict=True):
        assert (gradient - wanted).norm() < 0.02 * largest  # convolutions round to 10 bits there


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("compiled", ["off", "on"])
@pytest.mark.parametrize(
    "model", ["eanet_nano:depth=2", "keras_eanet:num_transformer_blocks=2", "vit:depth=2"]
)
def test_it_learns_the_digits_and_predicts_as_the_processor_does(
    gpu: str, model: str, compiled: str, precision: str, tmp_path: Path
) -> None:
    if compiled == "on" and not has_compiler(resolve_device(gpu)):
        pytest.skip(f"no compiler for {gpu} here")
    if precision == "bf16" and not has_bf16(resolve_device(gpu)):
        pytest.skip(f"{gpu} has no bfloat16")
    run = eanet.train(
        "digits",
        model=model,
        recipe="default",
        warmup_epochs=1,
        dropout=0.1,
        epochs=4,
        device=gpu,
        compile=compiled,
        precision=precision,
        output=tmp_path,
    )
    first, *_, last = history(run.path)
    assert float(last["train_loss"]) < 0.9 * float(first["train_loss"])
    pictures = [Image.fromarray(pixels) for pixels in eanet.load_dataset("digits").test.images[:20]]
    there, here = (eanet.load(run.path, device=d).predict(pictures, top=10) for d in (gpu, "cpu"))
    for a, b in zip(there, here, strict=True):
        expected = dict(zip(b.classes, b.probabilities, strict=True))
        assert dict(zip(a.classes, a.probabilities, strict=True)) == pytest.approx(
            expected, abs=0.02
        )


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, take = [], updates.take

    def interrupt(*arguments: Any) -> Any:
        steps.append(None)
        if len(steps) == 15:
            os.kill(os.getpid(), signal.SIGINT)
        return take(*arguments)

    monkeypatch.setattr(updates, "take", interrupt)
    options = {"recipe": "cifar", "ema": 0.9, "batch_size": 128, "epochs": 2, "warmup_epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        eanet.train("digits", model="eanet_nano:depth=2", device=gpu, output=tmp_path, **options)
    (path,) = tmp_path.iterdir()
    run = eanet.resume(path)
    assert len(steps) == 22
    assert len(history(run.path)) == 2


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))
