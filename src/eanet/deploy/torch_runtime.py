"""PyTorch: every device and model, with the kernels of this package."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from threading import Lock
from typing import Any

import torch

from eanet.deploy.prediction import Outputs
from eanet.deploy.runtime import Pixels, Precision, check_precision
from eanet.deploy.threads import compute, use_one_core
from eanet.device import resolve_device, warn_of_emulation
from eanet.model_files.config import check_rgb
from eanet.models import Classifier
from eanet.models.weights import check_head, model_metadata, unwrapped
from eanet.ops.kernels import build_kernels

# Images that a processor computes at a time. The memory of a larger batch is given back to the
# system after each operation and zeroed again before the next: `keras_vit` takes a third longer.
CHUNK = 32
_APPLE_GPU = Lock()  # two threads that compute on one at a time end the process


class TorchRuntime:
    """A classifier in PyTorch; see `eanet.deploy.runtime.Runtime`.

    Args:
        model: the classifier; it is moved to the device and put into evaluation mode.
        device: where to compute; ``auto`` takes a GPU if available.
        precision: ``fp32`` or ``bf16``.

    Raises:
        EanetError: it is no `Classifier`, does not take RGB images, or its head does not fit its
            classes; or there is no such device or precision.
    """

    name = "torch"

    def __init__(
        self, model: Classifier, device: str = "auto", precision: Precision = "fp32"
    ) -> None:
        model = unwrapped(model)
        check_precision(precision)
        check_head(model)
        check_rgb(model.config)
        self.device = resolve_device(device)
        self.precision = precision
        warn_of_emulation(precision, self.device)
        self.config = model.config
        self.metadata: Mapping[str, Any] = model_metadata(model)
        self.model = model.to(self.device).eval()
        if self.device == "cpu":
            build_kernels()

    @property
    def threads(self) -> int:
        """PyTorch's number of threads."""
        return torch.get_num_threads()

    def __call__(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        if self.device != "cpu":
            return self._in_turn(pixels)
        chunks = [pixels[i : i + CHUNK] for i in range(0, max(1, len(pixels)), CHUNK)]
        return Outputs.joined([compute(partial(self._compute, chunk)) for chunk in chunks])

    def on_one_core(self, pixels: Pixels) -> Outputs:
        """See `eanet.deploy.runtime.Runtime`."""
        use_one_core()
        return self._in_turn(pixels)

    def _in_turn(self, pixels: Pixels) -> Outputs:
        """Compute one batch, after those of other threads if the device takes one at a time."""
        with _APPLE_GPU if self.device == "mps" else nullcontext():
            return self._compute(pixels)

    @torch.inference_mode()
    def _compute(self, pixels: Pixels) -> Outputs:
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)  # (B, C, H, W)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            logits, distance = self.model.forward_with_distance(batch)  # (B, K), (B,)
        return Outputs(
            logits.float().cpu().numpy(), None if distance is None else distance.cpu().numpy()
        )
