"""What a comparison trains: architectures from random weights, or trained models to fine-tune."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eanet.errors import EanetError, WrongArgumentError
from eanet.files import user_path
from eanet.model_files.find import bundled_models
from eanet.models.registry import parse_model_name
from eanet.training.pretrained import Pretrained


@dataclass(frozen=True)
class Entrant:
    """A model of a comparison.

    Attributes:
        name: as given.
        trained: the model to begin with; None: random weights.
    """

    name: str
    trained: Pretrained | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that make a run one of this model."""
        if self.trained is None:
            return {"model": self.name, "init": None}
        return {"model": None, "init": self.trained.where}

    @property
    def file_name(self) -> str:
        """Its name as a part of a file name, with the weights: every run calls its model alike."""
        if self.trained is None:
            return self.name.replace(":", "-").replace(",", "-")
        name = Path(self.name).name.removesuffix(".safetensors")
        return f"{name}-{self.trained.digest[:8]}"


def open_entrant(name: str) -> Entrant:
    """Open what is named: an architecture, a bundled model or a model file.

    Raises:
        EanetError: it is none of them.
    """
    path = user_path(name)
    if name in bundled_models() or (path.suffix == ".safetensors" and path.is_file()):
        return Entrant(name, Pretrained.load(name))
    try:
        parse_model_name(name)
    except WrongArgumentError as error:
        if path.exists():
            raise EanetError(f"{name} is neither a run directory nor a model") from error
        if "/" in name:
            raise EanetError(f"no such run directory: {name}") from error
        raise
    return Entrant(name)
