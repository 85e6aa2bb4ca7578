"""The run directory: what a training leaves behind, and where."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

from eanet.config import ResolvedSettings, TrainSettings, parse_yaml, read_text
from eanet.data.splits import Dataset
from eanet.device import processor_name
from eanet.errors import EanetError
from eanet.files import replacing
from eanet.models.weights import model_digest
from eanet.version import __version__

HISTORY = "history.csv"
SETTINGS = "config.yaml"
CHECKPOINT = "last.ckpt"
MODELS = ("init", "teacher")  # settings that name a trained model

Row = Mapping[str, float]


def data_fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the fingerprints of all splits."""
    sets = (dataset.train, dataset.validation, dataset.test)
    prints = "".join("-" if images is None else images.fingerprint() for images in sets)
    return hashlib.sha256(prints.encode()).hexdigest()


class RunDirectory:
    """Folder of one training; its files are replaced atomically, or appended to and flushed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, settings: ResolvedSettings, data: str) -> RunDirectory:
        """Create a folder ``output/name``, or ``name-2``, ``name-3``, ...: no run is overwritten.

        Args:
            settings: of the run.
            data: name of its data set.

        Raises:
            EanetError: the folder cannot be created.
        """
        model = settings.model.replace(":", "-").replace(",", "-")
        name = settings.name or f"{data}-{model}"
        number = 1
        while True:
            path = settings.output / (name if number == 1 else f"{name}-{number}")
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
        if not (path / SETTINGS).is_file():
            raise EanetError(f"{path} is not a run directory: it has no {SETTINGS}")
        return cls(path)

    # Settings

    def write_settings(
        self, settings: TrainSettings, resolved: ResolvedSettings, dataset: Dataset
    ) -> None:
        """Write all that a repeat of the run needs, with machine, versions and data fingerprint.

        Args:
            settings: the settings as given.
            resolved: the same with every choice made; only differences are written.
            dataset: the data of the run.
        """
        given, chosen = settings.model_dump(mode="json"), resolved.model_dump(mode="json")
        sets = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
        gpu = {"gpu": torch.cuda.get_device_name()} if resolved.device == "cuda" else {}
        named = {name: getattr(resolved, name) for name in MODELS}
        content = {
            "settings": given,
            "resolved": {name: value for name, value in chosen.items() if value != given[name]},
            **{k: {"sha256": model_digest(v)} for k, v in named.items() if v is not None},
            "data": {
                "name": dataset.name,
                "classes": list(dataset.train.classes),
                "images": {k: len(s) for k, s in sets.items() if s is not None},
                "fingerprint": data_fingerprint(dataset),
            },
            "environment": {
                "eanet": __version__,
                "torch": str(torch.__version__),
                "python": platform.python_version(),
                "platform": platform.platform(),
                "processor": processor_name(),
                "cores": os.cpu_count(),
                **gpu,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        with replacing(self.path / SETTINGS) as partial:
            partial.write_text(
                yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
            )

    def read_config(self) -> dict[str, Any]:
        """Read what `write_settings` wrote."""
        path = self.path / SETTINGS
        content = parse_yaml(read_text(path), str(path))
        if not {"settings", "resolved", "data"} <= content.keys():
            raise EanetError(
                f"{path} was not written by eanet, or has been changed; start a new run"
            )
        return content

    def read_settings(self) -> tuple[TrainSettings, ResolvedSettings]:
        """Return the settings of the run as given, and with every choice made."""
        config, where = self.read_config(), str(self.path / SETTINGS)
        return (
            TrainSettings.parse(config["settings"], where),
            ResolvedSettings.parse({**config["settings"], **config["resolved"]}, where),
        )

    def check_data(self, dataset: Dataset, remedy: str = "start a new run") -> None:
        """Raise an `EanetError` with a remedy if the images have changed since the run began."""
        if self.read_config()["data"]["fingerprint"] != data_fingerprint(dataset):
            raise EanetError(
                f"the images are no longer those that {self.path} was trained on; {remedy}"
            )

    # History

    def append_history(self, row: Row) -> None:
        """Append and flush the row of one epoch, with the header before the first."""
        path = self.path / HISTORY
        try:
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(row))
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise EanetError(f"cannot write {path}: {error.strerror}") from error

    def rewrite_history(self, rows: Sequence[Row]) -> None:
        """Keep only these rows: later ones than the resumed state must go."""
        (self.path / HISTORY).unlink(missing_ok=True)
        for row in rows:
            self.append_history(row)

    def read_history(self) -> list[dict[str, float]]:
        """Return one row per epoch; empty if there are none."""
        path = self.path / HISTORY
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

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
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise EanetError(f"{path} is damaged ({error}); start a new run") from error
        return state
