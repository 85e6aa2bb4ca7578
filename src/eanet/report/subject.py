"""What a report is about: a model, the images, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eanet.config import RUNS, DataSettings, is_run
from eanet.console import notice
from eanet.deploy.module import RuntimeModule, open_model
from eanet.deploy.runtime import RuntimeName
from eanet.device import device_or_other, resolve_device
from eanet.errors import EanetError
from eanet.files import check_writable, user_path
from eanet.model_files.exported import is_exported, read_exported
from eanet.model_files.find import find_model
from eanet.model_files.weights_file import read_metadata
from eanet.models import Classifier
from eanet.report.selection import Selection, Split, select_images
from eanet.training.run_directory import RunDirectory

PAGE = "report.html"


@dataclass(frozen=True)
class Subject:
    """What a report is about, opened.

    Attributes:
        model: in PyTorch or another library.
        run: that the model is from; None for a file.
        selection: the images to judge it by, and those to fit it to.
        folder: of the report.
        device: where to compute.
        label_smoothing: of the loss, as in the training.
    """

    model: Classifier | RuntimeModule
    run: RunDirectory | None
    selection: Selection
    folder: Path
    device: str
    label_smoothing: float

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found about the images of a run, if it is judged by them."""
        if self.run is None or not self.selection.of_run:
            return ()
        return self.run.read_config().data.findings


def open_subject(
    where: str | Path,
    data: str | Path | None,
    split: Split | None,
    reading: Mapping[str, str | Path | None],
    output: str | Path | None,
    device: str | None,
    runtime: RuntimeName = "auto",
) -> Subject:
    """Open model, run and images; arguments and errors as for `evaluate`."""
    model = open_model(where, runtime, device or "auto")
    path = user_path(where)
    output = None if output is None else user_path(output)
    check_writable(base_folder(path) if output is None else output)
    if path.is_file() and is_run(path.parent):
        notice(f"{path} does not know its training images; name {path.parent} to leave them out")
    run = RunDirectory(path) if is_run(path) else None
    if run is not None:
        run.notice_if_unfinished()
    config = run.read_config() if run is not None else None
    settings = config.resolved if config is not None else None
    asked = DataSettings.parse(
        {name: value for name, value in reading.items() if value is not None}
        | {"image_size": model.config.image_size}
    )
    data_settings = (settings or DataSettings()).model_copy(
        update=asked.model_dump(exclude_unset=True)
    )
    if run is None and (data := data or _trained_on(where)) is None:
        raise EanetError(
            f"{where} does not say what it was trained on; name the images with --data"
        )
    selection = select_images(data, split, data_settings, model, run)
    folder = output if output is not None else _folder(path, selection)
    if output is None and folder != path and (folder / PAGE).is_file():
        notice(f"{folder} has an earlier report, which is replaced: --output names another folder")
    if is_run(folder) and folder.resolve() != path.resolve():
        raise EanetError(f"{folder} holds another run; name another folder with --output")
    if device is not None:
        compute_device = resolve_device(device)
    else:
        compute_device = device_or_other(config.settings.device if config is not None else "auto")
    smoothing = settings.label_smoothing if settings is not None else 0.0
    return Subject(model, run, selection, folder, compute_device, smoothing)


def _trained_on(where: str | Path) -> str | None:
    """Return what a model file says it was trained on, if it does."""
    file = user_path(where)
    found = read_exported(file).metadata if is_exported(file) else read_metadata(find_model(where))
    data = found.get("training", {}).get("data")
    return data if isinstance(data, str) else None


def _folder(path: Path, selection: Selection) -> Path:
    """Return the default folder of a report."""
    if selection.of_run and selection.split == "test":
        return path
    images = f"{selection.data}-{selection.split}"
    return base_folder(path) / (f"{path.name}-{images}" if path.is_file() else images)


def base_folder(path: Path) -> Path:
    """Return the folder of a run or file, or for other models one below ``runs``."""
    return path if path.is_dir() else path.parent if path.is_file() else RUNS / path.name
