"""The training loop: every random draw in it is a pure function of seed, epoch and step."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eanet.config import TrainSettings
from eanet.console import notice
from eanet.data.batches import Batches, derive_seed, take
from eanet.data.splits import Dataset
from eanet.errors import EanetError
from eanet.models import Classifier, save_model
from eanet.training.ema import averaged
from eanet.training.interruption import StopRequest, stop_requests
from eanet.training.optimizer import create_optimizer, learning_rate, set_step
from eanet.training.progress import TrainingProgress
from eanet.training.run_directory import RunDirectory
from eanet.training.step import TrainingStep, balanced_weights, score, scores
from eanet.training.tensorboard import event_writer

CHECKPOINT_SECONDS = 120.0
ORDER, WEIGHTS, AUGMENTATION, DROPOUT = range(4)  # what a seed is derived for


@dataclass
class Progress:
    """Where a training stands between two steps; saved and restored as it is."""

    epoch: int = 0
    step: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.float64))
    seconds: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """Trains one model on one data set into one run directory.

    Args:
        settings: resolved: no ``auto`` and no unset batch size is left in them.
        dataset: what to train and validate on.
        run: where everything is written; a checkpoint in it is continued from.
        fabric: device, precision and processes.
        model: with its fresh weights.
    """

    def __init__(
        self,
        settings: TrainSettings,
        dataset: Dataset,
        run: RunDirectory,
        fabric: Fabric,
        model: Classifier,
    ) -> None:
        self.settings, self.dataset, self.run, self.fabric = settings, dataset, run, fabric
        assert settings.batch_size is not None
        self.batches = Batches(
            dataset.train,
            settings.batch_size,
            derive_seed(settings.seed, ORDER),
            balanced=settings.balance == "sampling",
        )
        if self.batches.batch_size % fabric.world_size:
            raise EanetError(
                f"{fabric.world_size} processes cannot share batches of "
                f"{self.batches.batch_size} images; use --batch-size with a multiple"
            )
        self.model = model.to(fabric.device)
        self.average = averaged(self.model, settings.ema) if settings.ema is not None else None
        self.kept = self.model if self.average is None else cast(Classifier, self.average.module)
        self.optimizer = create_optimizer(self.model, settings)
        self.progress = Progress()
        self._restore()
        weights = balanced_weights(dataset.train.counts()) if settings.balance == "loss" else None
        made = TrainingStep(self.model, settings, weights)
        self.augmentation, step = made.augmentation, cast(nn.Module, made)
        self._predict: Callable[[Tensor], Tensor] | None = None
        if settings.compile == "on":
            step = cast(nn.Module, torch.compile(step, dynamic=False))
            self._predict = torch.compile(self.kept, dynamic=False)
        self._step, self._wrapped = fabric.setup(step, self.optimizer)
        self._events = (
            event_writer(run.path, self.progress.epoch)
            if settings.tensorboard and fabric.is_global_zero
            else None
        )

    # State

    def _restore(self) -> None:
        state = self.run.read_checkpoint()
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.progress = Progress(**state["progress"])
        if self.fabric.is_global_zero:
            self.run.rewrite_history(self.progress.history)

    def _save(self) -> None:
        """Write the training state, unless the weights in it have become useless."""
        self._check_finite()
        if self.fabric.is_global_zero:
            state: dict[str, Any] = {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
                "progress": vars(self.progress) | {"sums": self.progress.sums.cpu()},
            }
            self.run.write_checkpoint(state)
        self._saved_at = time.monotonic()

    def _check_finite(self) -> None:
        """Raise where the loss of this epoch or a weight is no finite number."""
        norms = torch._foreach_norm([p.detach() for p in self.model.parameters()])
        if bool(torch.stack([*norms, self.progress.sums[0].float()]).isfinite().all()):
            return
        place = f"epoch {self.progress.epoch + 1}, by step {self.progress.step}"
        kept = self.run.read_checkpoint()
        done = kept["progress"]["epoch"] if kept is not None else 0
        state = f"the state after {done} epochs is kept in" if kept else "nothing was saved yet in"
        raise EanetError(
            f"the loss or a weight became infinite or NaN in {place}; {state} {self.run.path}; "
            "try a lower --learning-rate or --clip-norm 1"
        )

    # Training

    def fit(self) -> None:
        """Train to the end, or to the early stop; leave the best model in the run directory.

        Raises:
            EanetError: the loss became NaN or infinite; the last good state is kept.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, with everything saved.
        """
        progress, settings = self.progress, self.settings
        progress.sums = progress.sums.to(self.fabric.device)
        self._saved_at = time.monotonic()
        display = TrainingProgress(
            settings.epochs,
            len(self.batches),
            self.batches.batch_size,
            enabled=self.fabric.is_global_zero,
        )
        with stop_requests() as stop, display:
            while progress.epoch < settings.epochs and not self._out_of_patience():
                self._train_epoch(display, stop)
                self._end_epoch(display)

    def _train_epoch(self, display: TrainingProgress, stop: StopRequest) -> None:
        progress, settings, fabric = self.progress, self.settings, self.fabric
        order = self.batches.order(progress.epoch)
        share = slice(fabric.global_rank, None, fabric.world_size)
        self._step.train()
        display.start_epoch(progress.epoch, progress.step)
        started = time.perf_counter() - progress.seconds
        while progress.step < len(self.batches):
            place = (progress.epoch, progress.step)
            images, labels = take(self.dataset.train, order[progress.step][share])
            seed = derive_seed(settings.seed, AUGMENTATION, *place)
            generator = torch.Generator().manual_seed(seed)
            draws = self.augmentation.draw(self.batches.batch_size, generator)[share]
            torch.manual_seed(derive_seed(settings.seed, DROPOUT, *place, fabric.global_rank))
            count = progress.epoch * len(self.batches) + progress.step
            set_step(self.optimizer, settings, count, (count + 1) / len(self.batches))
            loss, sums = self._step(*(t.to(fabric.device) for t in (images, labels, draws)))
            fabric.backward(loss)
            if settings.clip_norm is not None:
                fabric.clip_gradients(
                    self._step,
                    self._wrapped,
                    max_norm=settings.clip_norm,
                    error_if_nonfinite=False,
                )
            self._wrapped.step()
            self._wrapped.zero_grad()
            if self.average is not None:
                self.average.update_parameters(self.model)
            progress.sums += sums
            progress.step += 1
            progress.seconds = time.perf_counter() - started
            if display.due():
                self._check_finite()
                display.show(progress.epoch, progress.step, scores(progress.sums))
            if stop.requested:
                self._interrupt()
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._save()

    def _end_epoch(self, display: TrainingProgress) -> None:
        progress, settings = self.progress, self.settings
        self._check_finite()
        sums = cast(Tensor, self.fabric.all_reduce(progress.sums, reduce_op="sum"))
        started = time.perf_counter()
        row = {
            "epoch": progress.epoch + 1,
            "learning_rate": learning_rate(settings, progress.epoch + 1),
            **{f"train_{name}": value for name, value in scores(sums).items()},
        }
        if self.dataset.validation is not None:
            found = score(
                self.kept,
                self.dataset.validation,
                fabric=self.fabric,
                batch_size=self.batches.batch_size,
                label_smoothing=settings.label_smoothing,
                forward=self._predict,
            )
            row |= {f"val_{name}": value for name, value in found.items()}
        row["images_per_second"] = len(self.batches) * self.batches.batch_size / progress.seconds
        row["seconds"] = progress.seconds + time.perf_counter() - started
        best = self._is_best(row)
        progress.history.append(row)
        progress.epoch, progress.step, progress.seconds = progress.epoch + 1, 0, 0.0
        progress.sums = torch.zeros_like(progress.sums)
        if self.fabric.is_global_zero:
            self.run.append_history(row)
            if self._events is not None:
                for name, value in row.items():
                    self._events.add_scalar(name.replace("_", "/", 1), value, progress.epoch)
                self._events.flush()
            if best:
                save_model(self.kept, self.run.path)
        self._save()
        display.end_epoch(row, best=best)

    def _is_best(self, row: dict[str, float]) -> bool:
        """A higher validation accuracy, or the same at a lower loss; any without validation."""
        progress = self.progress
        accuracy, loss = row.get("val_accuracy"), row.get("val_loss")
        if accuracy is not None and loss is not None:
            if (accuracy, -loss) <= (progress.best_accuracy, -progress.best_loss):
                return False
            progress.best_accuracy, progress.best_loss = accuracy, loss
        progress.best_epoch = progress.epoch + 1
        return True

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        if patience is None or self.dataset.validation is None:
            return False
        if self.progress.epoch - self.progress.best_epoch < patience:
            return False
        notice(f"stopped early: no better epoch since epoch {self.progress.best_epoch}")
        return True

    def _interrupt(self) -> None:
        with suppress(EanetError):  # weights gone bad are not saved, and the last good state stays
            self._save()
        notice(f"interrupted and saved; go on with: eanet train --resume {self.run.path}")
        raise KeyboardInterrupt
