"""What answering for several views of an image gains and costs."""

from __future__ import annotations

import time
from collections.abc import Mapping

from eanet.config import VIEWS, ResolvedSettings
from eanet.console import notice
from eanet.data.imageset import ImageSet
from eanet.errors import WrongArgumentError
from eanet.metrics.evaluation import Evaluation, evaluate_model
from eanet.metrics.intervals import difference_interval
from eanet.models import Classifier
from eanet.models.views import MIRRORED

SAMPLE = 256  # images that the cost is measured on


def set_views(model: Classifier, views: int, settings: ResolvedSettings | None) -> None:
    """Let a model answer for several views.

    Args:
        model: the model.
        views: how many.
        settings: of its training, if they are known.

    Raises:
        EanetError: there is no such number of views, or the model has not seen mirrored images.
    """
    if views not in VIEWS:
        raise WrongArgumentError(f"views={views}: should be {', '.join(map(str, VIEWS))}")
    if views in MIRRORED and settings is None:
        notice(
            "it is not known whether a mirrored image is still of its class here: --views 5 does "
            "not mirror"
        )
    if views in MIRRORED and settings is not None and not settings.flip:
        raise WrongArgumentError(
            f"views={views}: the run was not trained on mirrored images; use 5, or 1 for none"
        )
    model.views = views


def views_metrics(
    model: Classifier, images: ImageSet, evaluation: Evaluation, device: str
) -> Mapping[str, float | int]:
    """Return what views gain: ``views``, ``single_view_top1``, and the difference, as fractions.

    ``views_cost`` is the time of an answer, as a multiple of that for the image alone.

    Args:
        model: with several views.
        images: that it was evaluated on.
        evaluation: with these views.
        device: where to compute.
    """
    views, few = model.views, images.subset(range(min(len(images), SAMPLE)))
    seconds = []
    for count in (views, 1):
        model.views = count
        evaluate_model(model, few, device=device)
        start = time.perf_counter()
        evaluate_model(model, few, device=device)
        seconds.append(time.perf_counter() - start)
    single = evaluate_model(model, images, device=device)
    model.views = views
    with_views, alone = evaluation.in_top(1), single.in_top(1)
    low, high = difference_interval(with_views, alone, images.groups)
    return {
        "views": views,
        "single_view_top1": float(alone.mean()),
        "views_gain": float(with_views.mean() - alone.mean()),
        "views_gain_low": low,
        "views_gain_high": high,
        "views_cost": round(seconds[0] / seconds[1], 2),
    }
