"""The training loop on small real images: what it learns, keeps, resumes and refuses."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from eanet import Classifier, EanetError
from eanet.config import RUN_CONFIG, TrainSettings
from eanet.data.source import open_source
from eanet.files import lock_folder
from eanet.metrics.evaluation import evaluate_model
from eanet.model_files.config import ModelConfig
from eanet.models import load_model, registry
from eanet.models.family import eanet
from eanet.training import trainer as trainer_module
from eanet.training import updates as updates_module
from eanet.training.launch import launch
from eanet.training.resume import resume
from eanet.training.run_directory import RunDirectory
from eanet.training.trainer import Trainer
from tests.support.processes import start


@pytest.fixture(autouse=True, scope="module")
def small_model():
    """A model of one block, so that the loop and not the model is what takes the time.

    Batch normalisation is in it, which keeps more than weights.
    """

    def tiny(config: ModelConfig, *, dropout: float = 0.0, drop_path: float = 0.0) -> Classifier:
        return eanet(config, dropout=dropout, drop_path=drop_path, depth=1, dim=16, heads=2)

    registry._MODELS["tiny"] = registry.ModelEntry("tiny", "for tests", tiny)
    yield
    del registry._MODELS["tiny"]


TIMES = ("seconds", "images_per_second")


def settings(tmp_path: Path, **given: object) -> TrainSettings:
    """Two short epochs on the digits, in float32."""
    options = {"model": "tiny", "recipe": "default", "precision": "fp32", "batch_size": 128}
    limit = {} if "minutes" in given else {"epochs": 2}
    return TrainSettings.with_recipe(output=tmp_path, name="run", **{**options, **limit, **given})


def weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(run.path / "model.safetensors")


def assert_same(a: RunDirectory, b: RunDirectory) -> None:
    """The same history, model and training state, to the bit; times aside."""
    histories = [
        [{k: v for k, v in row.items() if k not in TIMES} for row in run.read_history()]
        for run in (a, b)
    ]
    assert histories[0] == histories[1]
    assert weights(a).keys() == weights(b).keys()
    assert all(torch.equal(weights(a)[name], weights(b)[name]) for name in weights(a))
    states = [run.read_checkpoint() for run in (a, b)]
    for key in ("model", "average"):
        if states[0][key] is not None:
            assert all(torch.equal(states[0][key][n], states[1][key][n]) for n in states[0][key])
    moments = [state["optimizer"]["state"] for state in states]
    for index in moments[0]:
        for name in moments[0][index]:
            assert torch.equal(moments[0][index][name], moments[1][index][name])


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> RunDirectory:
    """An undisturbed run with everything on that draws at random."""
    return launch(settings(tmp_path_factory.mktemp("plain"), dropout=0.1, ema=0.9, flip=True))


def test_learns_and_leaves_everything(plain):
    history = plain.read_history()
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert 0 < history[1]["val_accuracy"] <= history[1]["val_top5"] <= 1
    assert history[1]["learning_rate"] == pytest.approx(1e-3 * 2 / 3)  # within the warm-up
    names = {path.name for path in plain.path.iterdir()}
    models = {"config.json", "last.ckpt", "model.safetensors"}
    assert names == {"config.yaml", "history.csv", "images.npy", *models}
    assert load_model(plain.path).classes == tuple("0123456789")


def test_an_epoch_has_ended_when_the_device_has(tmp_path, monkeypatch):
    waited, real = [], time.perf_counter
    monkeypatch.setattr(trainer_module, "synchronizer", lambda _: lambda: waited.append(10))
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: real() + sum(waited))
    rows = launch(settings(tmp_path, epochs=1)).read_history()
    assert rows[0]["seconds"] > 10
    assert rows[0]["images_per_second"] < 150


def test_the_same_settings_give_the_same_run(plain, tmp_path):
    again = launch(settings(tmp_path, dropout=0.1, ema=0.9, flip=True))
    assert_same(plain, again)


def test_another_seed_gives_another_run_on_the_same_test_images(plain, tmp_path):
    other = launch(settings(tmp_path, dropout=0.1, ema=0.9, flip=True, seed=1))
    assert other.read_history()[0]["train_loss"] != plain.read_history()[0]["train_loss"]
    assert other.read_config().data == plain.read_config().data


@pytest.mark.parametrize("stop_after", [3, 11, 12])
def test_an_interrupted_run_goes_on_to_the_same_bits(plain, tmp_path, monkeypatch, stop_after):
    """Ctrl-C within the first epoch, at its last step, and in the second (11 steps an epoch)."""
    steps = 0
    take = updates_module.take

    def interrupt(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            os.kill(os.getpid(), signal.SIGINT)
        return take(*arguments)

    monkeypatch.setattr(updates_module, "take", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch(settings(tmp_path, dropout=0.1, ema=0.9, flip=True))
    assert steps == stop_after  # it stopped after the step under way
    run = resume(tmp_path / "run")
    assert steps == 22  # no step was done twice
    assert_same(plain, run)


def test_an_interruption_during_the_validation_is_heeded_after_it(plain, tmp_path, monkeypatch):
    score = trainer_module.score

    def interrupt(*arguments: object, **options: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return score(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "score", interrupt)
        for epoch in (1, 2):
            with pytest.raises(KeyboardInterrupt):
                resume(tmp_path / "run") if epoch > 1 else launch(
                    settings(tmp_path, dropout=0.1, ema=0.9, flip=True)
                )
            assert len(RunDirectory(tmp_path / "run").read_history()) == epoch
    assert_same(plain, resume(tmp_path / "run"))


def test_an_interrupted_run_that_cannot_be_saved_says_so(tmp_path, monkeypatch, capsys):
    def full(run: RunDirectory, state: object) -> None:
        raise EanetError("cannot write last.ckpt: No space left on device")

    monkeypatch.setattr(RunDirectory, "write_checkpoint", full)
    take = updates_module.take
    monkeypatch.setattr(
        updates_module, "take", lambda *a: os.kill(os.getpid(), signal.SIGINT) or take(*a)
    )
    with pytest.raises(KeyboardInterrupt):
        launch(settings(tmp_path))
    err = capsys.readouterr().err
    assert "interrupted, and not saved: cannot write last.ckpt: No space left on device\n" in err
    assert "interrupted and saved" not in err


@pytest.mark.parametrize("last", [1, 2])
def test_a_resumed_run_forgets_what_came_after_its_checkpoint(plain, tmp_path, monkeypatch, last):
    """Killed after an epoch's row was written but before its checkpoint was."""
    saves = 0
    write = RunDirectory.write_checkpoint

    def die_at_the_last(run: RunDirectory, state: dict[str, object]) -> None:
        nonlocal saves
        saves += 1
        if saves == last:
            raise RuntimeError("killed")
        write(run, state)

    monkeypatch.setattr(RunDirectory, "write_checkpoint", die_at_the_last)
    with pytest.raises(RuntimeError, match="killed"):
        launch(settings(tmp_path, dropout=0.1, ema=0.9, flip=True))
    monkeypatch.setattr(RunDirectory, "write_checkpoint", write)
    assert len(RunDirectory(tmp_path / "run").read_history()) == last
    assert_same(plain, resume(tmp_path / "run"))


def test_a_run_without_a_checkpoint_starts_again(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda self: None)
    launch(settings(tmp_path, dropout=0.1, ema=0.9, flip=True))
    monkeypatch.undo()
    assert_same(plain, resume(tmp_path / "run"))


def test_resuming_a_finished_run_changes_nothing_and_says_so(plain, capsys):
    before = {path.name: path.read_bytes() for path in plain.path.iterdir()}
    resume(plain.path)
    assert {path.name: path.read_bytes() for path in plain.path.iterdir()} == before
    assert "has finished: nothing is left to train; --epochs above 2" in capsys.readouterr().err


def test_a_run_of_another_machine_goes_on_where_it_is_told_to(plain, tmp_path):
    run = Path(shutil.copytree(plain.path, tmp_path / "run"))
    config = yaml.safe_load((run / RUN_CONFIG).read_text("utf-8"))
    config["resolved"]["device"] = "cuda"
    (run / RUN_CONFIG).write_text(yaml.safe_dump(config), "utf-8")
    with pytest.raises(EanetError, match="no cuda device here; use --device cpu"):
        resume(run)
    assert resume(run, device="cpu").read_history() == plain.read_history()


@pytest.mark.slow
def test_a_run_is_for_one_process_at_a_time(plain):
    with (
        lock_folder(plain.path),
        pytest.raises(EanetError, match=f"another process is using {plain.path}; wait"),
    ):
        resume(plain.path)
    assert resume(plain.path).path == plain.path


def test_the_recipe_of_cifar_resumes_to_the_same_bits_too(photos, tmp_path, monkeypatch):
    """Muon, mixtures of images, bfloat16."""
    given = {"recipe": "cifar", "precision": "bf16", "flip": False, "threads": 1}
    given |= {"data": str(photos), "image_size": 8, "batch_size": 4, "init": None}
    whole = launch(settings(tmp_path / "whole", **given))
    take, steps = updates_module.take, 0

    def interrupt(*arguments: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 9:  # the second of the second epoch
            os.kill(os.getpid(), signal.SIGINT)
        return take(*arguments)

    monkeypatch.setattr(updates_module, "take", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch(settings(tmp_path / "cut", **given))
    assert_same(whole, resume(tmp_path / "cut" / "run"))


def test_a_killed_run_that_is_resumed_ends_with_the_same_bits(tmp_path):
    """SIGKILL at a random moment, twice, against a run left alone; each in its own process."""
    log, draw = tmp_path / "log", random.Random(0).uniform
    model = "keras_eanet:num_transformer_blocks=1"
    options = {"model": model, "dropout": 0.1, "epochs": 6, "threads": 1}
    alone = start(launch, settings(tmp_path / "alone", **options), log=log)
    alone.join(240)
    assert alone.exitcode == 0, log.read_text()
    took = RunDirectory(tmp_path / "alone" / "run").read_history()[-1]["seconds"]

    killed = start(launch, settings(tmp_path / "killed", **options), log=log)
    run = RunDirectory(tmp_path / "killed" / "run")
    for epochs in (1, 2):
        deadline = time.monotonic() + 120
        while len(run.read_history()) < epochs and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(draw(0, took))
        killed.kill()
        killed.join()
        # One less than seen, if it was killed between an epoch's row and its checkpoint before.
        assert epochs - 1 <= len(run.read_history()) < 6, "it was killed too early or too late"
        killed = start(resume, run.path, log=log)
    killed.join(240)
    assert killed.exitcode == 0, log.read_text()
    assert_same(RunDirectory(tmp_path / "alone" / "run"), run)


def test_a_loss_that_is_no_number_stops_and_leaves_the_last_good_state(tmp_path, monkeypatch):
    epochs = 0
    order = updates_module.Batches.order

    def poison(batches: updates_module.Batches, epoch: int) -> torch.Tensor:
        nonlocal epochs
        epochs += 1
        if epochs == 2:
            with torch.no_grad():
                trainer.model.head.weight.fill_(float("nan"))
        return order(batches, epoch)

    made: list[Trainer] = []
    init = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda self, *a: (made.append(self), init(self, *a))[1]
    )
    monkeypatch.setattr(updates_module.Batches, "order", poison)

    class First:
        def __getattr__(self, name: str) -> object:
            return getattr(made[0], name)

    trainer = First()
    with pytest.raises(EanetError, match=r"NaN in epoch 2, by step \d+; the state after 1 epochs"):
        launch(settings(tmp_path))
    run = RunDirectory(tmp_path / "run")
    state = run.read_checkpoint()
    assert state["progress"]["epoch"] == 1
    assert all(t.isfinite().all() for t in state["model"].values())
    assert all(t.isfinite().all() for t in weights(run).values())
    assert len(run.read_history()) == 1


def test_a_learning_rate_that_explodes_says_what_to_do(tmp_path):
    with pytest.raises(EanetError, match=r"nothing was saved yet.*a lower --learning-rate"):
        launch(settings(tmp_path, learning_rate=1e30, clip_norm="none", warmup_epochs=0))


def test_the_best_model_by_validation_is_kept(tmp_path, monkeypatch):
    told = iter(
        [
            {"loss": 1.0, "accuracy": 0.5, "top5": 1.0},
            {"loss": 0.9, "accuracy": 0.5, "top5": 1.0},  # the same accuracy, a lower loss
            {"loss": 0.1, "accuracy": 0.4, "top5": 1.0},
            {"loss": 0.1, "accuracy": 0.4, "top5": 1.0},
        ]
    )
    monkeypatch.setattr(trainer_module, "score", lambda *_, **__: next(told))
    kept: list[int] = []
    save = trainer_module.save_model
    monkeypatch.setattr(
        trainer_module, "save_model", lambda model, path: (kept.append(1), save(model, path))
    )
    run = launch(settings(tmp_path, epochs=9, patience=2))
    assert len(kept) == 2
    assert len(run.read_history()) == 4  # two epochs of patience after the second
    assert run.read_checkpoint()["progress"]["best_epoch"] == 2
    assert run.read_checkpoint()["progress"]["finished"] is True


def test_patience_holds_in_a_resumed_run(tmp_path, monkeypatch):
    told = iter([{"loss": 1.0, "accuracy": a, "top5": 1.0} for a in (0.5, 0.4)])
    monkeypatch.setattr(trainer_module, "score", lambda *_, **__: next(told))
    run = launch(settings(tmp_path, epochs=9, patience=1))
    assert len(resume(run.path).read_history()) == 2
    state = run.read_checkpoint()
    del state["progress"]["finished"]  # as in checkpoints of earlier versions
    run.write_checkpoint(state)
    assert len(resume(run.path).read_history()) == 2


def test_without_validation_images_the_last_epoch_is_kept(tmp_path):
    run = launch(settings(tmp_path, validation_fraction=0))
    assert "val_loss" not in run.read_history()[0]
    state = run.read_checkpoint()
    assert all(torch.equal(tensor, weights(run)[n]) for n, tensor in state["model"].items())


def test_the_average_is_what_is_validated_and_kept(plain):
    state = plain.read_checkpoint()
    differs = [
        not torch.equal(tensor, weights(plain)[name]) for name, tensor in state["model"].items()
    ]
    assert any(differs)
    average = {n.removeprefix("module."): t for n, t in state["average"].items()}
    assert all(torch.equal(tensor, average[name]) for name, tensor in weights(plain).items())
    own = plain.read_config().resolved
    images = open_source(own.data).load(own).validation
    found = evaluate_model(load_model(plain.path), images, label_smoothing=own.label_smoothing)
    best = plain.read_history()[state["progress"]["best_epoch"] - 1]
    assert found.in_top(1).mean() == pytest.approx(best["val_accuracy"])
    assert found.loss == pytest.approx(best["val_loss"], rel=1e-4)


def test_clipping_bounds_the_gradient(tmp_path, monkeypatch):
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def spy(optimizer: torch.optim.AdamW, *arguments: object, **options: object) -> object:
        gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
        norms.append(torch.stack(torch._foreach_norm(gradients)).norm().item())
        return step(optimizer, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    launch(settings(tmp_path, epochs=1, clip_norm=0.01))
    assert len(norms) == 11
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_tensorboard_events_hold_the_history(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = launch(settings(tmp_path, tensorboard=True))
    events = EventAccumulator(str(run.path)).Reload()
    losses = [event.value for event in events.Scalars("val/loss")]
    assert losses == pytest.approx([row["val_loss"] for row in run.read_history()], rel=1e-6)


def test_tensorboard_that_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(EanetError, match="needs TensorBoard: pip install tensorboard"):
        launch(settings(tmp_path, tensorboard=True))
    assert not any(tmp_path.iterdir())


def test_small_sets_get_small_batches_and_digits_are_not_mirrored(tmp_path):
    run = launch(settings(tmp_path, epochs=1, batch_size=None, recipe="default"))
    resolved = run.read_config().resolved
    assert resolved.batch_size == 64
    assert resolved.flip is False
    assert (resolved.device, resolved.precision, resolved.compile) == ("cpu", "fp32", "off")


def test_a_batch_is_no_larger_than_the_set(tmp_path, capsys):
    run = launch(settings(tmp_path, epochs=1, batch_size=5000))
    count = run.read_config().data.images["train"]
    assert run.read_config().resolved.batch_size == count < 5000
    assert f"batch size {count}\n" in capsys.readouterr().err


def test_a_run_of_another_version_is_not_resumed(plain, tmp_path):
    for key in ("model", "progress"):
        run = RunDirectory(shutil.copytree(plain.path, tmp_path / key))
        state = run.read_checkpoint()
        state[key]["new"] = torch.zeros(1)
        run.write_checkpoint(state)
        with pytest.raises(EanetError, match="begun by another version of eanet: start a new run"):
            resume(run.path)


def test_a_resumed_run_refuses_processes_that_cannot_share_its_batches(plain, monkeypatch):
    shared: list[int] = []

    def refuse(batch_size: int, _: object) -> None:
        shared.append(batch_size)
        raise EanetError("cannot share")

    monkeypatch.setattr("eanet.training.resume.check_shares", refuse)
    with pytest.raises(EanetError, match="cannot share"):
        resume(plain.path)
    assert shared == [plain.read_config().resolved.batch_size]


def test_long_runs_save_between_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "CHECKPOINT_SECONDS", 0)
    places: list[tuple[int, int]] = []
    write = RunDirectory.write_checkpoint

    def spy(run: RunDirectory, state: dict[str, object]) -> None:
        places.append((state["progress"]["epoch"], state["progress"]["step"]))
        write(run, state)

    monkeypatch.setattr(RunDirectory, "write_checkpoint", spy)
    launch(settings(tmp_path, epochs=1, validation_fraction=0))
    assert places[:2] == [(0, 1), (0, 2)]
    assert places[-1] == (1, 0)
