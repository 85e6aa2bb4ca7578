"""What other code in a process could notice of ours."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from typing import Any

import matplotlib
import numpy as np
import torch


def state_of_process() -> dict[str, Any]:
    """What other code in this process could notice of a training."""
    loggers = [logging.getLogger(name) for name in ("", *logging.Logger.manager.loggerDict)]
    return {
        "random": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "threads": torch.get_num_threads(),
        "warnings": list(warnings.filters),
        "levels": {logger.name: logger.level for logger in loggers},
        # But for the address that PyTorch's compiler hands to the code that it loads, and what
        # joblib sets when it is imported.
        "environment": {
            k: v for k, v in os.environ.items() if not k.startswith(("_TORCHINDUCTOR", "KMP_"))
        },
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "pictures": dict(matplotlib.rcParams.copy()),  # with the backend, which is not chosen by it
    }
