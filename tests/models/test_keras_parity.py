"""`keras_eanet` and `keras_vit` are the Keras example's networks: outputs, gradients, training.

Both frameworks start from the same weights, which travel through `import_keras`; so do Keras'
gradients and trained weights, written into the variables of a Keras model, to be compared by our
names. ``pytest -s`` prints what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eanet.config import load_recipe
from eanet.models.classifier import Classifier
from eanet.models.keras_import import import_keras
from eanet.training.optimizer import create_optimizer, set_step
from tests.support.keras_example import build_example, keras, randomize

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

BATCH, CLASSES = 4, 100
RECIPE = load_recipe("keras_example")
NAMES = {"external_attention": "keras_eanet", "self_attention": "keras_vit"}
# What is constant over the tokens cancels in the softmax: no effect, and a gradient of nothing but
# rounding errors, which Adam blows up to full steps.
DEAD = {
    "keras_eanet": ("attention_norm.bias", "query.bias", "key_memory.bias"),
    "keras_vit": ("key.bias",),
}


@pytest.fixture(scope="module", params=NAMES)
def networks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Keras model of full size, and the file that keeps its first weights."""
    keras.utils.set_random_seed(0)
    model = build_example(request.param)
    randomize(model)
    # Keras' loss cuts probabilities off at 1e-7, ours starts from logits: stay above.
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0.5)
    start = tmp_path_factory.mktemp("networks") / "start.weights.h5"
    model.save_weights(start)
    return model, start, NAMES[request.param]


@pytest.fixture
def pair(networks: Any) -> tuple[Any, Classifier]:
    """The same network in Keras and in eanet, with its first weights."""
    keras_model, start, name = networks
    keras_model.load_weights(start)
    model = import_keras(start)
    assert model.config.name == name
    return keras_model, model


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Smooth raw pixels in Keras' layout (B, 32, 32, 3), and labels (B,)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(BATCH, 3, 8, 8, generator=generator) * 255
    images = F.interpolate(coarse, size=32, mode="bilinear").round().permute(0, 2, 3, 1)
    return images, torch.randint(CLASSES, (BATCH,), generator=generator)


def probabilities(model: Classifier, images: Tensor) -> Tensor:
    return model(images.permute(0, 3, 1, 2)).softmax(-1)


def gradients_of_keras(model: Any, images: Tensor, labels: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=RECIPE.label_smoothing)
    loss(F.one_hot(labels, CLASSES).float(), model(images, training=False)).backward()
    return [variable.value.grad for variable in model.trainable_variables]


def backward(model: Classifier, images: Tensor, labels: Tensor) -> None:
    logits = model(images.permute(0, 3, 1, 2))
    F.cross_entropy(logits, labels, label_smoothing=RECIPE.label_smoothing).backward()


def in_our_names(model: Any, values: list[Tensor], folder: Path) -> dict[str, Tensor]:
    """One value for each trainable variable of Keras', which takes it, by our names."""
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value.detach())
    model.save_weights(folder / "values.weights.h5")
    imported = import_keras(folder / "values.weights.h5")
    return dict(separate((name, p.detach()) for name, p in imported.named_parameters()))


def separate(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Query, key and value apart, which our self-attention keeps in one tensor."""
    for name, tensor in tensors:
        if ".qkv." in name:
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            yield from ((name.replace("qkv", part), chunk) for part, chunk in parts)
        else:
            yield name, tensor


def relative_differences(
    actual: dict[str, Tensor], expected: dict[str, Tensor]
) -> dict[str, float]:
    """||a - b|| / ||b|| of every tensor."""
    return {
        name: float((actual[name] - tensor).norm() / tensor.norm())
        for name, tensor in expected.items()
    }


def report(model: Classifier, what: str, differences: dict[str, float]) -> float:
    worst = max(differences, key=lambda name: differences[name])
    figure = f"{differences[worst]:.1e} ({worst})"
    print(f"\n{model.config.name}: {what} differ by at most {figure}")  # noqa: T201
    return differences[worst]


def test_probabilities_are_the_same(pair: tuple[Any, Classifier]) -> None:
    keras_model, model = pair
    images, _ = batch(0)
    with torch.no_grad():
        expected = keras_model(images, training=False)
        difference = float((probabilities(model, images) - expected).abs().max())
    assert expected.std(0).mean() > 1e-4  # the network tells the images apart
    assert report(model, "probabilities", {"absolute": difference}) < 1e-5


def test_gradients_are_the_same(pair: tuple[Any, Classifier], tmp_path: Path) -> None:
    keras_model, model = pair
    expected = in_our_names(keras_model, gradients_of_keras(keras_model, *batch(1)), tmp_path)
    backward(model, *batch(1))
    grads = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
    dead = [name for name in expected if name.endswith(DEAD[model.config.name])]
    for name in dead:
        noise, signal = expected.pop(name), expected[name.replace("bias", "weight")]
        assert noise.norm() < 1e-4 * signal.norm(), name
    assert len(dead) == 8 * len(DEAD[model.config.name])
    differences = relative_differences(dict(separate(grads)), expected)
    assert report(model, "gradients", differences) < 1e-4


def test_the_first_five_steps_are_the_same(pair: tuple[Any, Classifier], tmp_path: Path) -> None:
    keras_model, model = pair
    keras_optimizer = keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4)
    optimizer = create_optimizer(model, RECIPE)
    for step in range(5):
        gradients = gradients_of_keras(keras_model, *batch(step))
        keras_optimizer.apply(gradients, keras_model.trainable_variables)
        optimizer.zero_grad()
        backward(model, *batch(step))
        set_step(optimizer, RECIPE, step, progress=0.0)
        optimizer.step()

    images, _ = batch(9)
    with torch.no_grad():
        expected = keras_model(images, training=False)
        difference = float((probabilities(model, images) - expected).abs().max())
    trained = [variable.value for variable in keras_model.trainable_variables]
    weights = in_our_names(keras_model, trained, tmp_path)
    actual = dict(separate((name, p.detach()) for name, p in model.named_parameters()))
    live = {n: w for n, w in weights.items() if not n.endswith(DEAD[model.config.name])}
    assert report(model, "probabilities after 5 steps", {"absolute": difference}) < 1e-5
    assert report(model, "weights after 5 steps", relative_differences(actual, live)) < 1e-5
