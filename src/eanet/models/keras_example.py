"""The two networks of the Keras example "Image classification with EANet", and two variants.

Z. Chang, 2021, keras-io, examples/vision/eanet.py. Settings of ``keras_*`` have the example's names
and defaults, except for its dropout of 0.2, which the recipe sets. The variants are the example
without attention, and the ViT that it intended, whose settings have this project's names.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from eanet.model_files.config import ModelConfig
from eanet.models.block import Block
from eanet.models.classifier import Classifier
from eanet.models.drop_path import stochastic_depth_rates
from eanet.models.embedding import PatchEmbedding
from eanet.models.external_attention import ExternalAttention
from eanet.models.mlp import MLP
from eanet.models.registry import Depth, register_model
from eanet.models.self_attention import SelfAttention


@register_model
def keras_eanet(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    embedding_dim: int = 64,
    mlp_dim: int = 64,
    num_heads: int = 4,
    dim_coefficient: int = 4,
    num_transformer_blocks: Depth = 8,
    slots: int | None = None,
    attention_dropout: float | None = None,
    projection_dropout: float | None = None,
    mlp_dropout: float | None = None,
) -> Classifier:
    """External attention as in the Keras example: 16 heads, 16 slots, inner width 256.

    Args:
        config: name, image size, channels and classes.
        dropout: probability of dropping an entry, wherever none of its own is given below.
        drop_path: probability of dropping a branch of the last block; rises from the first block.
        patch_size: side of a patch, in pixels.
        embedding_dim: width of the tokens.
        mlp_dim: hidden width of the MLPs.
        num_heads: heads per ``embedding_dim`` of inner width; divides ``embedding_dim``.
        dim_coefficient: multiplies the inner width and the number of heads, and divides the slots.
        num_transformer_blocks: number of blocks.
        slots: rows of each memory; ``embedding_dim // dim_coefficient`` unless given.
        attention_dropout: probability of dropping an entry of the attention map.
        projection_dropout: probability of dropping an entry of the attention's result.
        mlp_dropout: probability of dropping an entry, twice in each MLP.

    Raises:
        ValueError: sizes that do not fit each other, or a rate out of range.
    """
    if embedding_dim % num_heads:
        raise ValueError(f"num_heads={num_heads} must divide embedding_dim={embedding_dim}")
    slots = embedding_dim // dim_coefficient if slots is None else slots
    if slots == 0:
        raise ValueError(
            f"dim_coefficient={dim_coefficient} must be at most embedding_dim={embedding_dim}"
        )
    attentions = [
        ExternalAttention(
            embedding_dim,
            num_heads * dim_coefficient,
            slots,
            dim_coefficient,
            all_biases=True,
            dropout=_rate(attention_dropout, dropout),
            output_dropout=_rate(projection_dropout, dropout),
        )
        for _ in range(num_transformer_blocks)
    ]
    return _transformer(
        config,
        attentions,
        patch_size=patch_size,
        dim=embedding_dim,
        mlp_dim=mlp_dim,
        dropout=_rate(mlp_dropout, dropout),
        drop_path=drop_path,
    )


@register_model
def keras_vit(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    embedding_dim: int = 64,
    mlp_dim: int = 64,
    num_heads: int = 4,
    num_transformer_blocks: Depth = 8,
    key_dim: int | None = None,
    attention_dropout: float | None = None,
    mlp_dropout: float | None = None,
) -> Classifier:
    """Self-attention as in the Keras example: 4 heads, each as wide as the tokens (64).

    Settings are those of `keras_eanet` that it has, and ``key_dim``: width of a head,
    ``embedding_dim`` unless given. As in the example, nothing is dropped of the attention's result.
    """
    attentions = [
        SelfAttention(
            embedding_dim,
            num_heads,
            embedding_dim if key_dim is None else key_dim,
            dropout=_rate(attention_dropout, dropout),
        )
        for _ in range(num_transformer_blocks)
    ]
    return _transformer(
        config,
        attentions,
        patch_size=patch_size,
        dim=embedding_dim,
        mlp_dim=mlp_dim,
        dropout=_rate(mlp_dropout, dropout),
        drop_path=drop_path,
    )


@register_model
def vit(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    dim: int = 64,
    depth: Depth = 8,
    heads: int = 4,
    mlp_dim: int = 64,
    attention_dropout: float | None = None,
    mlp_dropout: float | None = None,
) -> Classifier:
    """keras_vit with heads of width dim / heads (16), as in the Vision Transformer.

    Args:
        config: name, image size, channels and classes.
        dropout: probability of dropping an entry, wherever none of its own is given below.
        drop_path: probability of dropping a branch of the last block; rises from the first block.
        patch_size: side of a patch, in pixels.
        dim: width of the tokens.
        depth: number of blocks.
        heads: number of attention heads; divides ``dim``.
        mlp_dim: hidden width of the MLPs.
        attention_dropout: probability of dropping an entry of the attention map.
        mlp_dropout: probability of dropping an entry, twice in each MLP.

    Raises:
        ValueError: sizes that do not fit each other, or a rate out of range.
    """
    attentions = [
        SelfAttention(dim, heads, dropout=_rate(attention_dropout, dropout)) for _ in range(depth)
    ]
    return _transformer(
        config,
        attentions,
        patch_size=patch_size,
        dim=dim,
        mlp_dim=mlp_dim,
        dropout=_rate(mlp_dropout, dropout),
        drop_path=drop_path,
    )


@register_model
def keras_mlp(
    config: ModelConfig,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int = 2,
    embedding_dim: int = 64,
    mlp_dim: int = 64,
    num_transformer_blocks: Depth = 8,
) -> Classifier:
    """The Keras example without attention: patches meet only in the final average.

    Settings are those of `keras_eanet` that it has.
    """
    return _transformer(
        config,
        [None] * num_transformer_blocks,
        patch_size=patch_size,
        dim=embedding_dim,
        mlp_dim=mlp_dim,
        dropout=dropout,
        drop_path=drop_path,
    )


def _rate(own: float | None, dropout: float) -> float:
    return dropout if own is None else own


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
