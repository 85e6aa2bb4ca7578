"""Runs that learn from a trained model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from eanet import EanetError, create_model, load_model, save_model
from eanet.config import Recipe, TrainSettings
from eanet.training.launch import launch
from eanet.training.pretrained import Pretrained
from eanet.training.resume import resume
from eanet.training.step import TrainingStep
from eanet.training.teacher import Teacher
from tests.support.draws import neutral_draws
from tests.support.trainings import interrupt_after_an_epoch

pytestmark = pytest.mark.usefixtures("undrawn")

MODEL = "eanet_nano:dim=16,depth=1"
CLASSES = ("blue", "green", "red", "white")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16 x 16 pixels and four classes, sure of what it says, which is nonsense."""
    torch.manual_seed(7)
    model = create_model(MODEL, classes=CLASSES, image_size=16, dropout=0.5)
    torch.nn.init.normal_(model.head.weight, std=2)
    return save_model(model, tmp_path_factory.mktemp("trained"))


def pixels(count: int = 6, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


def teacher_of(where: Path, classes: Sequence[str]) -> Teacher:
    return Teacher(Pretrained.load(where), classes)


def step_of(teacher: nn.Module | None, **settings: object) -> TrainingStep:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(768), nn.Linear(768, 3))
    return TrainingStep(model, Recipe.parse(settings), teacher=teacher)


# The teacher


def test_it_gives_the_probabilities_of_the_runs_classes_in_their_order(trained: Path) -> None:
    logits = load_model(trained)(pixels())
    teacher = teacher_of(trained, ("red", "blue"))
    torch.testing.assert_close(teacher(pixels()), logits[:, [2, 0]].softmax(1))


def test_it_stays_as_it_was_trained(trained: Path) -> None:
    teacher = teacher_of(trained, CLASSES).train()
    assert not any(module.training for module in teacher.modules())
    answers = teacher(pixels())
    assert not answers.requires_grad
    assert torch.equal(answers, teacher(pixels()))


def test_images_of_another_size_are_scaled_to_its_own(trained: Path) -> None:
    ramp = torch.linspace(0, 255, 32)
    large = torch.stack(
        [ramp.expand(32, 32), ramp.view(-1, 1).expand(32, 32), ramp.flip(0).expand(32, 32)]
    )
    large = large.unsqueeze(0)  # (1, 3, 32, 32)
    teacher = teacher_of(trained, CLASSES)
    torch.testing.assert_close(teacher(large), teacher(F.avg_pool2d(large, 2)), atol=0.02, rtol=0)
    assert not torch.allclose(teacher(large), teacher(large[..., 8:24, 8:24]), atol=0.1)


def test_what_cannot_teach_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(EanetError, match=r"lacks 1 of these 2 classes, such as cat; it knows 4"):
        teacher_of(trained, ("red", "cat"))
    save_model(create_model(MODEL, classes=CLASSES, image_size=16, in_channels=1), tmp_path)
    with pytest.raises(EanetError, match="takes 1-channel images, not RGB"):
        Pretrained.load(tmp_path)


# The step


def test_the_loss_is_shared_by_labels_and_teacher(trained: Path) -> None:
    teacher, labels, draws = teacher_of(trained, CLASSES[:3]), torch.arange(6) % 3, neutral_draws(6)
    step = step_of(teacher, teacher_share=0.25, label_smoothing=0.1)
    loss, sums = step(pixels(), labels, draws)
    logits = step_of(None).model(pixels().float())
    taught = -(teacher(pixels()) * logits.log_softmax(1)).sum(1).mean()
    told = F.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(loss, 0.75 * told + 0.25 * taught)
    assert sums[1] == (logits.argmax(1) == labels).sum()


def test_it_is_shown_the_mixtures_that_the_model_is_shown() -> None:
    class Spy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            self.seen = images
            return torch.full((len(images), 3), 1 / 3)

    spy, share = Spy(), torch.tensor([0.25, 0.5, 1.0])
    step = step_of(spy, mixup=1.0, flip=True)
    step.model.register_forward_hook(lambda _, arguments, __: seen.append(arguments[0]))
    seen: list[Tensor] = []
    step(pixels(3), torch.arange(3), neutral_draws(3, share=share, flip=[1, 1, 0]))
    assert torch.equal(spy.seen, seen[0])
    torch.testing.assert_close(spy.seen[2], pixels(3)[2].flip(-1).float())


def test_gradients_reach_the_model_alone(trained: Path) -> None:
    teacher = teacher_of(trained, CLASSES[:3])
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    step = step_of(teacher, teacher_share=1.0).train()
    step(pixels(), torch.arange(6) % 3, neutral_draws(6))[0].backward()
    assert all(p.grad is not None for p in step.model.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


@pytest.mark.slow
def test_a_step_with_a_teacher_compiles_into_one_graph_that_does_the_same(trained: Path) -> None:
    """What the compiler makes of such a graph is tested with the models and with the steps."""
    step = step_of(teacher_of(trained, CLASSES[:3]), mixup=0.2)
    generator = torch.Generator().manual_seed(0)
    arguments = pixels(28), torch.arange(28) % 3, step.augmentation.draw(28, generator)
    expected = step(*arguments)
    compiled = torch.compile(step, fullgraph=True, dynamic=False, backend="aot_eager")(*arguments)
    torch.testing.assert_close(compiled, expected, rtol=1e-4, atol=1e-2)


# The run


def quick(photos: Path, tmp_path: Path, **given: object) -> TrainSettings:
    options = {"epochs": 2, "precision": "fp32", "compile": "off", "threads": 1, "image_size": 16}
    shared = {"data": str(photos), "output": tmp_path, "init": None, "model": MODEL}
    return TrainSettings.with_recipe(**{**options, **shared, **given})


def test_a_model_learns_what_its_teacher_says_and_not_the_labels(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    taught = launch(
        quick(
            photos,
            tmp_path,
            teacher=trained,
            teacher_share=1,
            epochs=20,
            learning_rate=0.01,
            validation_fraction=0,
        )
    )
    files = sorted(photos.glob("*/*.png"))
    images = torch.stack(
        [torch.from_numpy(np.array(Image.open(f))).permute(2, 0, 1) for f in files]
    )
    said, meant = (
        load_model(taught.path)(images).softmax(1),
        teacher_of(trained, CLASSES[:3])(images),
    )
    labels = F.one_hot(torch.arange(36) // 12, 3)
    assert (said - meant).abs().mean() < 0.1
    assert (said - labels).abs().mean() > 0.3


def test_a_run_says_who_teaches_it_and_resumes_to_the_same_bits(
    trained: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = shutil.copy(trained, tmp_path / "own.safetensors")
    whole = launch(quick(photos, tmp_path, teacher=own, name="whole"))
    assert f"epochs 2, teacher {own}, batch size" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        interrupt_after_an_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            launch(quick(photos, tmp_path, teacher=own, name="cut"))
    save_model(create_model(MODEL, classes=CLASSES, image_size=16), tmp_path)
    (tmp_path / "model.safetensors").replace(own)
    with pytest.raises(EanetError, match=r"own\S+ is no longer the model that \S+cut learns from"):
        resume(tmp_path / "cut")
    own.unlink()
    with pytest.raises(EanetError, match=r"no such .*own\S+; \S+cut learns from it: put it back"):
        resume(tmp_path / "cut")
    shutil.copy(trained, own)
    resumed = resume(tmp_path / "cut")
    first, second = (load_file(run.path / "model.safetensors") for run in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    alone = launch(quick(photos, tmp_path, name="alone"))
    third = load_file(alone.path / "model.safetensors")
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_a_wrong_teacher_leaves_no_run_directory(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(EanetError, match="no such run or model file"):
        launch(quick(photos, tmp_path, teacher="./gone", data="gone"))
    other = save_model(create_model(MODEL, classes=("cat", "red"), image_size=16), tmp_path)
    output = tmp_path / "runs"
    with pytest.raises(EanetError, match=r"lacks 2 of these 3 classes, such as blue"):
        launch(quick(photos, output, teacher=other))
    assert not output.exists()


def test_a_teacher_that_has_seen_the_test_images_is_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {"image_size": 16, "epochs": 1, "compile": "off", "threads": 1, "model": MODEL}
    settings = {"data": str(photos), "output": str(tmp_path), **quick}
    teacher = launch(TrainSettings.with_recipe(**settings, split_seed=1, name="teacher"))
    capsys.readouterr()
    same = launch(TrainSettings.with_recipe(**settings, split_seed=1, teacher=str(teacher.path)))
    assert "the teacher was trained" not in capsys.readouterr().err
    assert same.read_config().data.findings == ()
    other = launch(TrainSettings.with_recipe(**settings, teacher=str(teacher.path)))
    (finding,) = other.read_config().data.findings
    assert "the teacher was trained or validated on " in finding
    assert " of the 6 test images and can pass on what it remembers" in finding
    assert finding in capsys.readouterr().err
