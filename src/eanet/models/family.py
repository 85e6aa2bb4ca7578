"""This project's own models: a convolutional tokenizer, external attention, local MLPs."""

from __future__ import annotations

from torch import nn

from eanet.model_files.config import ModelConfig
from eanet.models.block import Block
from eanet.models.classifier import Classifier
from eanet.models.depthwise import NormalizedDepthwiseConvolution
from eanet.models.drop_path import stochastic_depth_rates
from eanet.models.mlp import MLP
from eanet.models.pooling import SequencePooling
from eanet.models.registry import Depth, register_variant
from eanet.models.token_mixing import create_mixing
from eanet.models.tokenizer import ConvTokenizer, patch_size_for


def eanet(
    config: ModelConfig,
    *,
    dim: int,
    depth: Depth,
    heads: int,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int | None = None,
    mixing: str = "external",
    attention_blocks: int | None = None,
    slots: int = 64,
    coefficient: int = 1,
    mlp_ratio: int = 2,
    conv: bool = True,
    attention_dropout: float | None = None,
    projection_dropout: float | None = None,
    mlp_dropout: float | None = None,
) -> Classifier:
    """Build a member of the family.

    Args:
        config: name, image size, channels and classes.
        dim: width of the tokens.
        depth: number of blocks.
        heads: number of attention heads.
        dropout: probability of dropping an entry, wherever none of its own is given below.
        drop_path: probability of dropping a branch of the last block; rises from the first block.
        patch_size: pixels from one token to the next, a power of 2; by default chosen from the
            image size (32 pixels: 4, for 8 x 8 tokens; 224 pixels: 16, for 14 x 14).
        mixing: one of `token_mixing.MIXINGS`.
        attention_blocks: number of blocks with attention, the last ones; the others have only an
            MLP. All by default, or if there are fewer.
        slots: rows of each memory.
        coefficient: inner width of external attention as a multiple of ``dim``.
        mlp_ratio: hidden width of the MLP as a multiple of ``dim``.
        conv: put a depthwise convolution with batch normalisation in the MLP.
        attention_dropout: probability of dropping an entry of the attention map.
        projection_dropout: probability of dropping an entry of the attention's result.
        mlp_dropout: probability of dropping an entry, twice in each MLP.

    Raises:
        EanetError: an unknown ``mixing``.
        ValueError: sizes that do not fit each other, or a rate out of range.
    """
    attention_dropout = dropout if attention_dropout is None else attention_dropout
    projection_dropout = dropout if projection_dropout is None else projection_dropout
    mlp_dropout = dropout if mlp_dropout is None else mlp_dropout
    blocks = []
    for i, rate in enumerate(stochastic_depth_rates(drop_path, depth)):
        attends = attention_blocks is None or i >= depth - attention_blocks
        name = mixing if attends else "none"
        attention = create_mixing(
            name,
            dim,
            heads,
            slots,
            coefficient,
            dropout=attention_dropout,
            output_dropout=projection_dropout,
        )
        hidden = mlp_ratio * dim
        mlp = MLP(
            dim, hidden, mlp_dropout, NormalizedDepthwiseConvolution(hidden) if conv else None
        )
        blocks.append(Block(dim, attention, mlp, drop_path=rate))
    size = config.image_size
    if patch_size is None:
        patch_size = patch_size_for(size)
    return Classifier(
        config,
        ConvTokenizer(size, patch_size, config.in_channels, dim),
        blocks,
        dim,
        norm=nn.LayerNorm(dim, eps=1e-5),
        pooling=SequencePooling(dim),
    )


register_variant(
    "eanet_nano", "Convolutional tokens, external attention at the end, 0.28 M parameters.", eanet,
    dim=80, depth=8, heads=4, slots=32, attention_blocks=1,
)  # fmt: skip
register_variant(
    "eanet_tiny", "Convolutional tokens, external attention at the end, 0.36 M parameters.", eanet,
    dim=96, depth=7, heads=4, attention_blocks=1,
)  # fmt: skip
register_variant(
    "eanet_small", "Convolutional tokens, external attention at the end, 2.2 M parameters.", eanet,
    dim=192, depth=12, heads=6, attention_blocks=2,
)  # fmt: skip
