"""The training loop: updates, validation, checkpoints and progress display."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

from eanet.config import ResolvedSettings
from eanet.console import how_to_resume, notice
from eanet.data.splits import Dataset
from eanet.device import synchronizer
from eanet.errors import EanetError
from eanet.interruption import StopRequest, stop_requests
from eanet.model_files.find import WEIGHTS_FILE
from eanet.models import Classifier, load_model, save_model
from eanet.training.budget import Budget
from eanet.training.contention import ContentionMonitor
from eanet.training.ema import averaged
from eanet.training.optimizer import set_step
from eanet.training.progress import TrainingProgress
from eanet.training.run_directory import RunDirectory, other_version
from eanet.training.state import State
from eanet.training.step import score, scores, sums_type
from eanet.training.teacher import Teacher
from eanet.training.tensorboard import event_writer
from eanet.training.updates import Updates

CHECKPOINT_SECONDS = 120.0
SYNC_EVERY = 10  # steps; processes that ask each other wait for each other


class Trainer:
    """Trains one model on one data set into one run directory.

    Args:
        settings: settings of the run.
        dataset: data to train and validate on.
        run: where everything is written; training resumes from a checkpoint in it.
        fabric: device, precision and processes.
        model: model with its initial weights.
        began: when the minutes of the run (if set) began to count, by `time.monotonic`.
        teacher: another model to learn from as well.
    """

    def __init__(
        self,
        settings: ResolvedSettings,
        dataset: Dataset,
        run: RunDirectory,
        fabric: Fabric,
        model: Classifier,
        began: float,
        teacher: Teacher | None = None,
    ) -> None:
        self.settings, self.dataset, self.run, self.fabric = settings, dataset, run, fabric
        self.model = model.to(fabric.device)
        self.average = averaged(self.model, settings.ema) if settings.ema is not None else None
        self.evaluated = (
            self.model if self.average is None else cast(Classifier, self.average.module)
        )
        self.updates = Updates(self.model, settings, dataset.train, fabric, teacher)
        self.batches = self.updates.batches
        self.state = State()
        self._restore()
        self.budget = Budget(
            settings,
            len(self.batches),
            -(-len(dataset.validation or ()) // self.batches.batch_size),
            self.state,
            fabric,
            began,
        )
        self._wait = synchronizer(fabric.device)
        self._sync_every = 1 if fabric.world_size == 1 else SYNC_EVERY
        self._contention = self._contention_monitor()
        self._predict: Callable[[Tensor], Tensor] | None = None
        if settings.compile == "on":
            self._predict = torch.compile(self.evaluated, dynamic=False)
        self._events = (
            event_writer(run.path, self.state.epoch)
            if settings.tensorboard and fabric.is_global_zero
            else None
        )

    def _contention_monitor(self) -> ContentionMonitor | None:
        """Not on a GPU, which waits for no CPU, nor for processes that train together."""
        if self.settings.device != "cpu" or self.fabric.world_size > 1:
            return None
        config, threads = self.run.read_config(), self.settings.threads
        automatic = config.settings.threads is None and config.resolved.threads == threads
        return ContentionMonitor(threads, automatic=automatic, run=self.run.path)

    # State

    def _restore(self) -> None:
        state = self.run.read_checkpoint()
        if state is None:
            if self.fabric.is_global_zero:
                self.run.write_history([])  # the run was killed before its first checkpoint
            return
        try:
            self.model.load_state_dict(state["model"])
            self.updates.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.state = State.parse(state["progress"])
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise other_version(self.run) from error
        if self.state.best_epoch and not self.state.finished and not self._has_weights():
            notice(
                f"{self.run.path} has lost {WEIGHTS_FILE}, the weights of epoch "
                f"{self.state.best_epoch}, or it is damaged: the best of the epochs to come takes "
                "their place"
            )
            self.state.best_epoch, self.state.best_accuracy = 0, State.best_accuracy
            self.state.best_loss = State.best_loss
        if self.fabric.is_global_zero:
            self.run.write_history(self.state.history)
        else:  # the saved sums cover all processes, so only the first keeps them
            self.state.sums = torch.zeros_like(self.state.sums)

    def _has_weights(self) -> bool:
        """Whether there are weights that the evaluation in the end can read."""
        try:
            load_model(self.run.path)
        except EanetError:
            return False
        return True

    def _save(self) -> None:
        """Write the training state, unless the loss or a weight is not finite."""
        sums = self._sums()
        self._check_finite(sums)
        if self.fabric.is_global_zero:
            state: dict[str, Any] = {
                "model": self.model.state_dict(),
                "optimizer": self.updates.optimizer.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
                "progress": vars(self.state) | {"sums": sums.cpu()},
            }
            self.run.write_checkpoint(state)
        self._saved_at = time.monotonic()

    def _sums(self) -> Tensor:
        """`tally` sums of the current epoch, over all processes."""
        return cast(Tensor, self.fabric.all_reduce(self.state.sums.clone(), reduce_op="sum"))

    def _check_finite(self, sums: Tensor) -> None:
        """Raise an `EanetError` if the epoch's loss (in ``sums``) or a weight is not finite."""
        norms = torch._foreach_norm([p.detach() for p in self.model.parameters()])
        if bool(torch.stack([*norms, sums[0].float()]).isfinite().all()):
            return
        place = f"epoch {self.state.epoch + 1}, by step {self.state.step}"
        saved = self.run.read_checkpoint()
        done = saved["progress"]["epoch"] if saved is not None else 0
        state = f"the state after {done} epochs is kept in" if saved else "nothing was saved yet in"
        raise EanetError(
            f"the loss or a weight became infinite or NaN in {place}; {state} {self.run.path}; "
            "start a new run with a lower --learning-rate"
        )

    # Training

    def fit(self) -> None:
        """Train to the end or to an early stop; leave the best model in the run directory.

        Raises:
            EanetError: the loss became NaN or infinite; the last good state is kept.
            KeyboardInterrupt: after Ctrl-C or SIGTERM; the state is saved if possible.
        """
        device = self.fabric.device
        self.state.sums = self.state.sums.to(device, sums_type(device))
        self._saved_at = time.monotonic()
        display = TrainingProgress(
            self.settings.epochs if self.settings.minutes is None else None,
            len(self.batches),
            self.batches.batch_size,
            enabled=self.fabric.is_global_zero,
            history=tuple(self.state.history),
        )
        with stop_requests() as stop, display, self._events or nullcontext():
            if self.state.finished is None:
                self.state.finished = self._is_finished()
            if self.state.finished and self.budget.is_over:
                longer = f"; --epochs above {self.state.epoch} trains it for longer"
                notice(
                    f"{self.run.path} has finished: nothing is left to train"
                    f"{longer if self.settings.minutes is None else ''}"
                )
            while not self.state.finished:
                self._train_epoch(display, stop)
                self._end_epoch(display)
                if self._any_process(stop.requested):
                    self._interrupt()
            if not self.budget.is_over:
                notice(f"stopped early: no improvement since epoch {self.state.best_epoch}")

    def _train_epoch(self, display: TrainingProgress, stop: StopRequest) -> None:
        """Take the remaining steps of an epoch, or as many as there is time for."""
        state, budget = self.state, self.budget
        display.start_epoch(state.epoch, state.step)
        started = time.perf_counter() - state.seconds
        if self._contention is not None:
            self._contention.start_epoch()
        while state.step < len(self.batches) and not (state.step and budget.time_is_up):
            count = state.epoch * len(self.batches) + state.step
            set_step(self.updates.optimizer, self.settings, count, budget.progress)
            sums = self.updates(state.epoch, state.step)
            if self.average is not None:
                self.average.update_parameters(self.model)
            state.sums += sums
            state.step += 1
            state.seconds = time.perf_counter() - started
            budget.tick()
            if self._contention is not None:
                self._contention.step(self.batches.batch_size)
            if display.due():
                self._check_finite(state.sums)
                display.show(state.epoch, state.step, scores(state.sums), budget.seconds_left)
            if state.step % self._sync_every:
                continue
            if self._any_process(stop.requested):
                self._interrupt()
            if self._any_process(time.monotonic() - self._saved_at > CHECKPOINT_SECONDS):
                self._save()
        self._wait()  # a GPU may be behind by a step
        state.seconds = time.perf_counter() - started

    def _any_process(self, flag_here: bool) -> bool:
        """Whether ``flag_here`` is set in any process; all of them then act at the same step."""
        if self.fabric.world_size == 1:
            return flag_here
        flag = torch.tensor(float(flag_here), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flag, reduce_op="max"))

    def _end_epoch(self, display: TrainingProgress) -> None:
        state, settings = self.state, self.settings
        sums = self._sums()
        self._check_finite(sums)
        started = time.perf_counter()
        row = {
            "epoch": state.epoch + 1,
            "learning_rate": self.updates.optimizer.param_groups[0]["lr"],
            **{f"train_{name}": value for name, value in scores(sums).items()},
        }
        if self.dataset.validation is not None:
            self._share_statistics()
            validation = score(
                self.evaluated,
                self.dataset.validation,
                fabric=self.fabric,
                batch_size=self.batches.batch_size,
                label_smoothing=settings.label_smoothing,
                forward=self._predict,
            )
            row |= {f"val_{name}": value for name, value in validation.items()}
        validating = time.perf_counter() - started
        row["images_per_second"] = state.step * self.batches.batch_size / state.seconds
        row["seconds"] = state.seconds + validating
        self.budget.tick(validating)
        best = self._is_best(row)
        state.history.append(row)
        state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0
        state.sums = torch.zeros_like(state.sums)
        state.finished = self._is_finished()
        if self.fabric.is_global_zero:
            self.run.write_history(state.history)
            if self._events is not None:
                for name, value in row.items():
                    self._events.add_scalar(name.replace("_", "/", 1), value, state.epoch)
                self._events.flush()
            if best:
                self.run.remove_figures()
                save_model(self.evaluated, self.run.path)
        self._save()
        display.end_epoch(row, best=best)

    def _share_statistics(self) -> None:
        """Validate what is saved: give all processes the first one's batch-norm statistics."""
        if self.fabric.world_size > 1:
            for buffer in self.evaluated.buffers():
                distributed.broadcast(buffer, 0)

    def _is_best(self, row: dict[str, float]) -> bool:
        """Whether this epoch validates best (ties by loss); always true without validation."""
        state = self.state
        accuracy, loss = row.get("val_accuracy"), row.get("val_loss")
        if accuracy is not None and loss is not None:
            if (accuracy, -loss) <= (state.best_accuracy, -state.best_loss):
                return False
            state.best_accuracy, state.best_loss = accuracy, loss
        state.best_epoch = state.epoch + 1
        return True

    def _is_finished(self) -> bool:
        """Whether the run ends after this epoch, by its budget or out of patience."""
        if self.budget.is_over:
            return True
        patience = self.settings.patience
        if patience is None or self.dataset.validation is None:
            return False
        return self.state.epoch - max(self.state.best_epoch, self.state.extended) >= patience

    def _interrupt(self) -> None:
        try:
            self._save()
        except EanetError as error:  # for example a full disk; the last good state stays
            message = f"interrupted, and not saved: {error}"
        else:
            message = f"interrupted and saved; resume with: {how_to_resume(self.run.path)}"
        notice(message)
        raise KeyboardInterrupt(message)
