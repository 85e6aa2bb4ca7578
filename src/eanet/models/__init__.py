"""Model components: attention layers, tokenizers, blocks, classifiers and named models."""

from eanet.models import family as family  # registers its models
from eanet.models import keras_example as keras_example  # likewise
from eanet.models.adapt import adapt_model, adapt_weights
from eanet.models.classifier import Classifier
from eanet.models.external_attention import ExternalAttention, ExternalAttention2d
from eanet.models.registry import ModelEntry, create_model, models
from eanet.models.self_attention import SelfAttention
from eanet.models.weights import load_model, save_model

__all__ = [
    "Classifier",
    "ExternalAttention",
    "ExternalAttention2d",
    "ModelEntry",
    "SelfAttention",
    "adapt_model",
    "adapt_weights",
    "create_model",
    "load_model",
    "models",
    "save_model",
]
