"""Whether an image is unlike all that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

FALSE_REJECTIONS = 0.05
"""Share of images of the known classes that a detector may take for unknown ones, as trained."""


@dataclass(frozen=True)
class DetectorFit:
    """How a detector was fitted.

    Attributes:
        false_rejections: share of images of the known classes that it may take for unknown ones.
        train_images: images that the distance is measured from.
        validation_images: images that the threshold was chosen on.
    """

    false_rejections: float
    train_images: int
    validation_images: int


class UnknownDetector(nn.Module):
    """Measures how far an image is from those that a model was trained on.

    It is the Mahalanobis distance of the model's features to the nearest class: to the mean of its
    training images, with the covariance that the classes have in common (Lee et al., 2018, arXiv
    1807.03888, without its input perturbation). The unit is the threshold: an image at a distance
    above 1 is unknown. `eanet.metrics.unknown.fit_detector` fits one.

    Args:
        dim: width of the features.
        classes: number of classes, K.
        fit: how it was fitted.
    """

    def __init__(self, dim: int, classes: int, fit: DetectorFit) -> None:
        super().__init__()
        self.fit = fit
        self.whitening: Tensor
        self.means: Tensor
        self.register_buffer("whitening", torch.zeros(dim, dim))
        self.register_buffer("means", torch.zeros(classes, dim))  # of the whitened features

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(B, dim)`` to distances ``(B,)``, computed in float32."""
        with torch.autocast(features.device.type, enabled=False):  # squares of 8 bits are too rough
            x, means = features.float() @ self.whitening.float(), self.means.float()  # (B, dim)
            nearest = (means.square().sum(1) - 2 * (x @ means.T)).argmin(1)  # of K, (B,)
            # Those differences of large squares order the classes, but are too rough for distances.
            return (x - means.index_select(0, nearest)).square().sum(1).sqrt()
