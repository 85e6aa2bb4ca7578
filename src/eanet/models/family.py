"""This project's own models: a convolutional tokenizer, external attention, local MLPs."""

from __future__ import annotations

from torch import nn

from eanet.models.block import MLP, Block
from eanet.models.classifier import Classifier, ModelConfig
from eanet.models.depthwise import DepthwiseConvolution, NormalizedDepthwiseConvolution
from eanet.models.drop_path import rising
from eanet.models.local_queries import LocalQueries
from eanet.models.pooling import SequencePooling
from eanet.models.registry import register_variant
from eanet.models.token_mixing import create_mixing
from eanet.models.tokenizer import ConvTokenizer, patch_size_for


def eanet(
    config: ModelConfig,
    *,
    dim: int,
    depth: int,
    heads: int,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    patch_size: int | None = None,
    mixing: str = "external",
    attention_blocks: int | None = None,
    slots: int = 64,
    coefficient: int = 1,
    local_queries: bool = False,
    mlp_ratio: int = 2,
    conv: bool = True,
    residual_scale: float | None = None,
) -> Classifier:
    """Build a member of the family.

    Args:
        config: name, image size, channels and classes.
        dim: width of the tokens.
        depth: number of blocks.
        heads: of the attention.
        dropout: probability of dropping an entry of attention maps and of both branches' results.
        drop_path: probability of leaving out a branch of the last block; it rises from the first.
        patch_size: pixels from one token to the next, a power of 2; follows the image size unless
            given (32 pixels: 4, for 8 x 8 tokens; 224 pixels: 16, for 14 x 14).
        mixing: one of `token_mixing.MIXINGS`.
        attention_blocks: how many blocks have attention, the last ones; those before have their MLP
            alone. All unless given.
        slots: rows of each memory.
        coefficient: inner width of external attention as a multiple of ``dim``.
        local_queries: attention sees tokens after a depthwise convolution, the identity at first.
        mlp_ratio: width within the MLP as a multiple of ``dim``.
        conv: a depthwise convolution within the MLP, and batch normalisation.
        residual_scale: what LayerScale begins with; no scale unless given.
    """
    blocks: list[Block] = []
    for i, rate in enumerate(rising(drop_path, depth)):
        attends = attention_blocks is None or i >= depth - attention_blocks
        name = mixing if attends else "none"
        attention = create_mixing(name, dim, heads, slots, coefficient, dropout)
        if local_queries and attention is not None:
            attention = LocalQueries(DepthwiseConvolution(dim), attention)
        hidden = mlp_ratio * dim
        convolution = NormalizedDepthwiseConvolution(hidden) if conv else None
        mlp = MLP(dim, hidden, dropout, convolution)
        blocks.append(Block(dim, attention, mlp, drop_path=rate, residual_scale=residual_scale))
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
