"""Augmentation of the training images: batched tensor operations on raw pixels.

They run on the training device, inside the compiled step, and always *before* the model's own
normalisation, since they clip to 0..255. Random numbers are drawn only in `Augmentation.draw`, on
the CPU; everything else is a pure function of them.
"""

from eanet.data.augment.augmentation import Augmentation
from eanet.data.augment.draws import Draws

__all__ = ["Augmentation", "Draws"]
