"""The two networks of the Keras example "Image classification with EANet", and two variants.

Z. Chang, 2021, keras-io, examples/vision/eanet.py. The recipe sets the dropout rate; the
architecture sets where dropout is applied. The variants are the ViT that the example intended, and
the example without attention.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from eanet.models.block import Block
from eanet.models.classifier import Classifier, ModelConfig
from eanet.models.drop_path import stochastic_depth_rates
from eanet.models.embedding import PatchEmbedding
from eanet.models.external_attention import ExternalAttention
from eanet.models.mlp import MLP
from eanet.models.registry import register_model, register_variant
from eanet.models.self_attention import SelfAttention


def _transformer(
    config: ModelConfig,
    attentions: Sequence[nn.Module | None],
    *,
    patch_size: int,
    dim: int,
    mlp_dim: int,
    dropout: float,
    drop_path: float,
) -> Classifier:
    """Build a model of patches, one block per attention, mean over tokens and no final norm."""
    rates = stochastic_depth_rates(drop_path, len(attentions))
    return Classifier(
        config,
        PatchEmbedding(config.image_size, patch_size, config.in_channels, dim),
        [
            Block(dim, attention, MLP(dim, mlp_dim, dropout), drop_path=rate)
            for attention, rate in zip(attentions, rates, strict=True)
        ],
        dim,
    )


@register_model
def keras_eanet(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    dim: int = 64,
    depth: int = 8,
    heads: int = 16,
    slots: int = 16,
    coefficient: int = 4,
    mlp_dim: int = 64,
) -> Classifier:
    """External attention as in the Keras example: 16 heads, 16 slots, inner width 256."""
    attentions = [
        ExternalAttention(
            dim,
            heads,
            slots,
            coefficient,
            all_biases=True,
            dropout=dropout,
            output_dropout=dropout,
        )
        for _ in range(depth)
    ]
    return _transformer(
        config,
        attentions,
        patch_size=patch_size,
        dim=dim,
        mlp_dim=mlp_dim,
        dropout=dropout,
        drop_path=drop_path,
    )


@register_model
def keras_vit(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    dim: int = 64,
    depth: int = 8,
    heads: int = 4,
    head_dim: int | None = 64,
    mlp_dim: int = 64,
) -> Classifier:
    """Self-attention as in the Keras example: 4 heads, each as wide as the tokens (64)."""
    attentions = [SelfAttention(dim, heads, head_dim, dropout=dropout) for _ in range(depth)]
    return _transformer(
        config,
        attentions,
        patch_size=patch_size,
        dim=dim,
        mlp_dim=mlp_dim,
        dropout=dropout,
        drop_path=drop_path,
    )


register_variant(
    "vit",
    "keras_vit with heads of width dim / heads (16), as in the Vision Transformer.",
    keras_vit,
    head_dim=None,
)


@register_model
def keras_mlp(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    dim: int = 64,
    depth: int = 8,
    mlp_dim: int = 64,
) -> Classifier:
    """The Keras example without attention: patches meet only in the final average."""
    return _transformer(
        config,
        [None] * depth,
        patch_size=patch_size,
        dim=dim,
        mlp_dim=mlp_dim,
        dropout=dropout,
        drop_path=drop_path,
    )
