"""An explanation as a picture in memory, for a server."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from eanet.deploy.predictor import Predictor
from eanet.deploy.runtime import Pixels
from eanet.explanation.explain import explain_image
from eanet.explanation.picture import plot_explanation


def explain_as_png(
    predictor: Predictor, pixels: Pixels, name: str, class_name: str | None = None
) -> bytes:
    """Draw the picture of `plot_explanation`.

    Args:
        predictor: the model.
        pixels: (S, S, 3), as `Predictor.decode` returns them.
        name: of the image.
        class_name: as in `explain_image`.

    Raises:
        EanetError: as in `explain_image`.
    """
    explanation = explain_image(predictor.module, pixels, class_name=class_name)
    with TemporaryDirectory() as folder:
        path = plot_explanation(explanation, Path(folder) / "explanation.png", name=name)
        return path.read_bytes()
