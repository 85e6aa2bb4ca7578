"""``config.yaml``: the settings of a run, its data, its machine, and the models it began with."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eanet.config import ResolvedSettings, TrainSettings
from eanet.data.splits import Dataset
from eanet.device import processor_name
from eanet.errors import EanetError
from eanet.files import read_text, replacing
from eanet.ops import kernels
from eanet.parsing import parse_yaml
from eanet.version import __version__


class Record(BaseModel):
    """A part of the file; what other versions of eanet wrote in addition is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DataRecord(Record):
    """The images of a run.

    Attributes:
        name: of the data set.
        classes: in the order of the model's logits.
        images: how many, by split.
        fingerprint: SHA-256 over all splits.
        findings: what could make a result worse, or look better, than it is.
    """

    name: str
    classes: tuple[str, ...] = ()
    images: dict[str, int] = {}
    fingerprint: str
    findings: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Describe a data set with all its splits."""
        return cls(
            name=dataset.name,
            classes=dataset.train.classes,
            images={split: len(images) for split, images in dataset.sets.items()},
            fingerprint=data_fingerprint(dataset),
            findings=tuple(map(str, dataset.findings)),
        )


def data_fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the fingerprints of all splits."""
    sets = (dataset.train, dataset.validation, dataset.test)
    prints = ["-" if images is None else images.fingerprint() for images in sets]
    return hashlib.sha256("".join(prints).encode()).hexdigest()


class Environment(Record):
    """Where and when a run began; None: not recorded."""

    eanet: str | None = None
    torch: str | None = None
    python: str | None = None
    platform: str | None = None
    processor: str | None = None
    cores: int | None = None
    gpu: str | None = None
    kernels: str | None = None
    date: str | None = None

    @classmethod
    def here(cls, device: str) -> Self:
        """Describe this machine, computing on ``device``, at this time (UTC)."""
        return cls(
            eanet=__version__,
            torch=str(torch.__version__),
            python=platform.python_version(),
            platform=platform.platform(),
            processor=processor_name(),
            cores=os.cpu_count(),
            gpu=torch.cuda.get_device_name() if device == "cuda" else None,
            kernels=kernels.status(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def recorded(self) -> dict[str, str | int]:
        """Return what was recorded, by name."""
        return self.model_dump(exclude_none=True)


class ModelRecord(Record):
    """A trained model that a run begins with or learns from, by the SHA-256 of its file."""

    sha256: str


class RunConfig(Record):
    """The contents of ``config.yaml``.

    Attributes:
        settings: as given.
        resolved: with every choice made; the file holds only what differs from ``settings``.
        data: the images.
        environment: the machine.
        init: the model that the run begins with.
        teacher: the model that it learns from.
    """

    settings: TrainSettings
    resolved: ResolvedSettings
    data: DataRecord
    environment: Environment = Environment()
    init: ModelRecord | None = None
    teacher: ModelRecord | None = None

    @property
    def models(self) -> Mapping[str, ModelRecord | None]:
        """The trained models that the run needs, by the setting that names them."""
        return {"init": self.init, "teacher": self.teacher}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote, in this version or an earlier one.

        Raises:
            EanetError: it cannot be read, or holds something else or a wrong setting.
        """
        where, content = str(path), parse_yaml(read_text(path), str(path))
        parts = {name: content.get(name) for name in ("settings", "resolved", "data")}
        if all(isinstance(part, dict) for part in parts.values()):
            given = content["settings"]
            resolved = {**given, **content["resolved"]}
            resolved["name"] = resolved.get("name") or path.parent.name  # once left open
            settings = {
                "settings": TrainSettings.parse(given, where),
                "resolved": ResolvedSettings.parse(resolved, where),
            }
            try:
                return cls(**{**content, **settings})
            except ValidationError:
                pass
        raise EanetError(f"{path} was not written by eanet, or has been changed; start a new run")

    def write(self, path: Path) -> None:
        """Replace the file."""
        content = self.model_dump(mode="json", exclude_none=True)
        given, resolved = (s.model_dump(mode="json") for s in (self.settings, self.resolved))
        content["settings"] = given  # in which None is a value
        content["resolved"] = {name: v for name, v in resolved.items() if v != given[name]}
        with replacing(path) as partial:
            partial.write_text(
                yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
            )
