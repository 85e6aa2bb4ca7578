"""Random changes of the training images: batched tensor operations on raw pixels.

They run on the training device, inside the compiled step, and always *before* the model's own
normalisation: they clip to 0..255, which only raw pixels survive. Nothing in here draws anything
but `Augmentation.draw`, on the CPU: all else is a pure function of those numbers.
"""

from eanet.data.augment.augmentation import Augmentation
from eanet.data.augment.draws import Draws

__all__ = ["Augmentation", "Draws"]
