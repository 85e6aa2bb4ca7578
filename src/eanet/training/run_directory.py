"""The run directory: what a training leaves behind, and where."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel

from eanet.config import RUN_CONFIG, RUNS, is_run
from eanet.console import how_to_resume, notice
from eanet.data.record import ImageRecord, joined
from eanet.data.splits import Dataset
from eanet.errors import EanetError, one_line
from eanet.files import lock_folder, nearest_path, read_numbers, replacing, write_csv
from eanet.parsing import checked
from eanet.training.run_config import RunConfig, data_fingerprint

if TYPE_CHECKING:
    from lightning_fabric import Fabric  # seconds to import, which reading a run need not take

HISTORY = "history.csv"
CHECKPOINT = "last.ckpt"
IMAGES = "images.npy"
START_IMAGES = "start_images.npy"
FIGURES = "metrics.json"  # of the report

COUNTED = ("epoch", "seconds", "images_per_second")
MOST = 1e12  # of any of these

Row = Mapping[str, float]


class _Checkpoint(BaseModel):
    """What a checkpoint holds."""

    model: dict[str, Any] = {}
    optimizer: dict[str, Any] = {}
    average: dict[str, Any] | None = None
    progress: dict[str, Any] = {}


class RunDirectory:
    """Folder of one training; its files are replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, output: Path, name: str) -> RunDirectory:
        """Create a folder ``output/name``, or ``name-2``, ``name-3``, ...: no run is overwritten.

        Args:
            output: folder of the run directories, which is made if need be.
            name: of the run.

        Raises:
            EanetError: the folder cannot be created.
        """
        number = 1
        while True:
            path = output / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not path.exists():  # a parent folder is a file
                    raise EanetError(f"cannot make {path}: a file is in the way") from None
                number += 1
            except OSError as error:
                raise EanetError(f"cannot make {path}: {error.strerror}") from error
            else:
                return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Open the folder of an earlier run.

        Raises:
            EanetError: there is none.
        """
        if not is_run(path):
            near = nearest_path(path, RUNS, is_run)
            hint = f"; did you mean {str(near)!r}?" if near and not path.exists() else ""
            raise EanetError(f"{path} is not a run directory: it has no {RUN_CONFIG}{hint}")
        return cls(path)

    def remove_unbegun(self) -> None:
        """Remove what is left of a run that was killed before it wrote its settings.

        Raises:
            EanetError: something else is in the way.
        """
        with suppress(FileNotFoundError):
            partial = self.path.glob(".partial-*")
            for leftover in (*partial, *map(self.path.joinpath, (IMAGES, START_IMAGES))):
                leftover.unlink(missing_ok=True)
            try:
                self.path.rmdir()
            except OSError as error:
                if self.path.exists():
                    raise EanetError(
                        f"{self.path} is in the way: it is not a run directory; move it away"
                    ) from error

    def locked(self, fabric: Fabric) -> AbstractContextManager[None]:
        """Keep other trainings out of the folder, in the first process on behalf of all.

        Raises:
            EanetError: there is one already.
        """
        return lock_folder(self.path) if fabric.is_global_zero else nullcontext()

    # Settings

    def write_config(self, config: RunConfig) -> None:
        """Write ``config.yaml``."""
        config.write(self.path / RUN_CONFIG)

    def read_config(self) -> RunConfig:
        """Read ``config.yaml``; raises what `RunConfig.read` raises."""
        return RunConfig.read(self.path / RUN_CONFIG)

    # Images

    def has_data(self, dataset: Dataset) -> bool:
        """Return whether these are the images of the run, split as for the run."""
        return self.read_config().data.fingerprint == data_fingerprint(dataset)

    def check_data(self, dataset: Dataset, remedy: str = "start a new run") -> None:
        """Raise an `EanetError` with a remedy if the images have changed since the run began."""
        if not self.has_data(dataset):
            raise EanetError(
                f"the images are no longer those that {self.path} was trained on; {remedy}"
            )

    def write_images(self, dataset: Dataset, start: ImageRecord | None) -> None:
        """Record the images, and what was seen before: by the model to begin with, mostly."""
        ImageRecord.of(dataset.sets).write(self.path / IMAGES)
        if start is not None:
            start.write(self.path / START_IMAGES)

    def read_images(self) -> ImageRecord | None:
        """Return the images of the run and its start by split; None if they are not recorded."""
        own = self.read_own_images()
        return None if own is None else joined(own, self.read_start_images())

    def read_own_images(self) -> ImageRecord | None:
        """Return the images of the run alone, without those of its start."""
        return ImageRecord.read(self.path / IMAGES)

    def read_start_images(self) -> ImageRecord | None:
        """Return the images of the run that the model to begin with comes from, if there is one."""
        return ImageRecord.read(self.path / START_IMAGES)

    # History

    def write_history(self, rows: Sequence[Row]) -> None:
        """Replace the history by these rows, one per epoch, all of the same columns.

        Others may read it at any time: they find the rows of before or these.
        """
        if rows:
            columns = list(rows[0])
            write_csv(self.path / HISTORY, columns, ([row[c] for c in columns] for row in rows))
        else:
            (self.path / HISTORY).unlink(missing_ok=True)

    def read_history(self, *required: str) -> list[dict[str, float]]:
        """Return one row per epoch; empty if there are none.

        Args:
            *required: columns that it must have, besides the epoch.

        Raises:
            EanetError: the file has been changed or damaged.
        """
        path = self.path / HISTORY
        if not path.is_file():
            return []
        rows = read_numbers(path, ("epoch", *required))
        for number, row in enumerate(rows, 1):
            if not all(0 <= row.get(name, 0) < MOST for name in COUNTED):
                raise EanetError(f"{path} has been changed or damaged: see row {number}")
        return rows

    def is_finished(self) -> bool:
        """Return whether it has trained for as long as it was to."""
        settings = self.read_config().resolved
        if settings.minutes is None and settings.patience is None:
            return len(self.read_history()) >= settings.epochs
        state = self.read_checkpoint()  # may be deleted to save space once the run is finished
        return state is None or state.get("progress", {}).get("finished") is not False

    def notice_if_unfinished(self) -> None:
        """Say it if the model of the run is that of an epoch before its last."""
        if self.read_history() and not self.is_finished():
            notice(f"{self.path} is not finished; resume with: {how_to_resume(self.path)}")

    # Figures

    def remove_figures(self) -> None:
        """Remove the figures of a report, which are not those of weights that are yet to be judged.

        Commands and servers show them as the model's until a training that goes on has ended.
        """
        (self.path / FIGURES).unlink(missing_ok=True)

    # Training state

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the training state.

        Raises:
            EanetError: it cannot be written; the previous one stays.
        """
        content = io.BytesIO()
        torch.save(dict(state), content)  # writing a file, it raises no OSError if the disk is full
        with replacing(self.path / CHECKPOINT) as partial:
            partial.write_bytes(content.getbuffer())

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return the training state, on the CPU; ``None`` if the run stopped before saving one.

        Raises:
            EanetError: the file is damaged.
        """
        path = self.path / CHECKPOINT
        if not path.is_file():
            return None
        try:
            with zipfile.ZipFile(path) as archive:  # compressed, it could take any memory
                is_plain = all(not i.compress_type for i in archive.infolist())
            if not is_plain:
                raise ValueError("it is compressed")
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise EanetError(f"{path} is damaged ({one_line(error)}); start a new run") from error
        checked(_Checkpoint, state, f"{path} (start a new run)")
        return state


def lost_state(run: RunDirectory) -> EanetError:
    """Make the error for a run that was trained and has no training state any more."""
    return EanetError(
        f"{run.path} has no {CHECKPOINT} to go on from: begin a new run with --init {run.path}"
    )


def other_version(run: RunDirectory) -> EanetError:
    """Make the error for a training state that does not fit this version's trainings."""
    return EanetError(f"{run.path} was begun by another version of eanet: start a new run")
