"""What an exported file says about itself."""

from __future__ import annotations

import json

from eanet.model_files.metadata import KEY
from eanet.models import Classifier
from eanet.models.weights import model_metadata
from eanet.version import __version__


def file_metadata(model: Classifier, weights_sha256: str | None) -> dict[str, str]:
    """Return the properties of an exported file.

    ``eanet`` is for `eanet.load`: `model_metadata`, with ``version`` of the package and
    ``weights_sha256``. The others are for anyone: ``classes``, one per line in the order of the
    outputs, and ``image_size``, to which images are resized within.

    Args:
        model: the exported model.
        weights_sha256: of the file that it was loaded from, in hex; None: of none.
    """
    own = {**model_metadata(model), "version": __version__, "weights_sha256": weights_sha256}
    return {
        KEY: json.dumps(own),
        "classes": "\n".join(model.classes),
        "image_size": str(model.config.image_size),
    }
