"""eanet: train, compare, explain and ship image classifiers built on external attention."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eanet.version import __version__ as __version__

if TYPE_CHECKING:
    from eanet.api import (
        compare,
        create_app,
        explain,
        export,
        load_dataset,
        resume,
        serve,
        train,
    )
    from eanet.benchmarking.models import benchmark
    from eanet.benchmarking.tokens import benchmark_tokens
    from eanet.comparison.compare import Comparison
    from eanet.deploy.embedding import Embeddings, embed
    from eanet.deploy.prediction import Prediction
    from eanet.deploy.predictor import Predictor, load
    from eanet.errors import EanetError
    from eanet.models import (
        Classifier,
        ExternalAttention,
        ExternalAttention2d,
        create_model,
        load_model,
        save_model,
    )
    from eanet.models.keras_import import import_keras
    from eanet.ops.kernels import build_kernels
    from eanet.report.cross_validation import CrossValidation, cross_validate
    from eanet.report.evaluate import evaluate
    from eanet.report.result import TrainingResult

# Where each public name lives. Loaded on first use, so that `eanet --help` need not wait for torch.
_HOMES = {
    "Classifier": "eanet.models",
    "Comparison": "eanet.comparison.compare",
    "CrossValidation": "eanet.report.cross_validation",
    "EanetError": "eanet.errors",
    "Embeddings": "eanet.deploy.embedding",
    "ExternalAttention": "eanet.models",
    "ExternalAttention2d": "eanet.models",
    "Prediction": "eanet.deploy.prediction",
    "Predictor": "eanet.deploy.predictor",
    "TrainingResult": "eanet.report.result",
    "benchmark": "eanet.benchmarking.models",
    "benchmark_tokens": "eanet.benchmarking.tokens",
    "build_kernels": "eanet.ops.kernels",
    "compare": "eanet.api",
    "create_app": "eanet.api",
    "create_model": "eanet.models",
    "cross_validate": "eanet.report.cross_validation",
    "embed": "eanet.deploy.embedding",
    "evaluate": "eanet.report.evaluate",
    "explain": "eanet.api",
    "export": "eanet.api",
    "import_keras": "eanet.models.keras_import",
    "load": "eanet.deploy.predictor",
    "load_dataset": "eanet.api",
    "load_model": "eanet.models",
    "resume": "eanet.api",
    "save_model": "eanet.models",
    "serve": "eanet.api",
    "train": "eanet.api",
}

__all__ = [
    "Classifier",
    "Comparison",
    "CrossValidation",
    "EanetError",
    "Embeddings",
    "ExternalAttention",
    "ExternalAttention2d",
    "Prediction",
    "Predictor",
    "TrainingResult",
    "benchmark",
    "benchmark_tokens",
    "build_kernels",
    "compare",
    "create_app",
    "create_model",
    "cross_validate",
    "embed",
    "evaluate",
    "explain",
    "export",
    "import_keras",
    "load",
    "load_dataset",
    "load_model",
    "resume",
    "save_model",
    "serve",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eanet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
