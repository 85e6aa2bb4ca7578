"""The two networks of the Keras example, built with Keras' own layers.

Rewritten from what the published example does. Layer classes and attributes keep its names, since
its weight files use them. Needs Keras and a backend, but nothing from eanet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops


class PatchExtract(layers.Layer):
    """Images ``(B, H, W, C)`` to patches ``(B, N, p * p * C)``."""

    def __init__(self, patch_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.patch_size = patch_size

    def call(self, images: Any) -> Any:
        """Called by Keras."""
        patches = ops.image.extract_patches(images, self.patch_size)  # (B, H/p, W/p, p*p*C)
        return ops.reshape(patches, (ops.shape(images)[0], -1, patches.shape[-1]))


class PatchEmbedding(layers.Layer):
    """Patches to tokens ``(B, N, dim)``: a linear map plus a learned position."""

    def __init__(self, num_patch: int, embed_dim: int, **options: Any) -> None:
        super().__init__(**options)
        self.num_patch = num_patch
        self.proj = layers.Dense(embed_dim)
        self.pos_embed = layers.Embedding(num_patch, embed_dim)

    def call(self, patches: Any) -> Any:
        """Called by Keras."""
        return self.proj(patches) + self.pos_embed(ops.arange(self.num_patch))


def _external_attention(x: Any, dim: int, heads: int, coefficient: int, dropout: float) -> Any:
    tokens, inner, heads = x.shape[1], dim * coefficient, heads * coefficient
    x = layers.Dense(inner)(x)
    x = ops.reshape(x, (-1, tokens, heads, inner // heads))
    x = ops.transpose(x, (0, 2, 1, 3))  # (B, h, N, c*d/h)
    x = layers.Dense(dim // coefficient)(x)
    x = layers.Softmax(axis=2)(x)
    x = layers.Lambda(lambda a: a / (1e-9 + ops.sum(a, axis=-1, keepdims=True)))(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(inner // heads)(x)
    x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, tokens, inner))
    return layers.Dropout(dropout)(layers.Dense(dim)(x))


def _self_attention(x: Any, dim: int, heads: int, dropout: float) -> Any:
    return layers.MultiHeadAttention(num_heads=heads, key_dim=dim, dropout=dropout)(x, x)


def _block(x: Any, mlp_dim: int, dropout: float, attention: Callable[[Any], Any]) -> Any:
    x = layers.add([attention(layers.LayerNormalization(epsilon=1e-5)(x)), x])
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.Dropout(dropout)(layers.Dense(mlp_dim, activation=ops.gelu)(y))
    y = layers.Dropout(dropout)(layers.Dense(x.shape[-1])(y))
    return layers.add([y, x])


def build_example(
    attention_type: str,
    *,
    image_size: int = 32,
    num_classes: int = 100,
    patch_size: int = 2,
    embedding_dim: int = 64,
    mlp_dim: int = 64,
    num_transformer_blocks: int = 8,
    num_heads: int = 4,
    dim_coefficient: int = 4,
    dropout: float = 0.0,
    augment: bool = True,
) -> Any:
    """Build the example's model: raw pixels ``(B, H, W, 3)`` to probabilities ``(B, num_classes)``.

    Args:
        attention_type: ``"external_attention"`` or ``"self_attention"``.
        image_size: side of the images in pixels.
        num_classes: width of the output.
        patch_size: side of the patches in pixels.
        embedding_dim: width of the tokens.
        mlp_dim: hidden width of the MLPs.
        num_transformer_blocks: number of blocks.
        num_heads: as the example counts them; external attention has ``dim_coefficient`` times as
            many.
        dim_coefficient: of external attention.
        dropout: 0.2 in the example.
        augment: with the layers of augmentation, which do nothing in prediction.
    """
    if attention_type == "external_attention":

        def attention(x: Any) -> Any:
            return _external_attention(x, embedding_dim, num_heads, dim_coefficient, dropout)
    else:

        def attention(x: Any) -> Any:
            return _self_attention(x, embedding_dim, num_heads, dropout)

    random = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomContrast(0.1),
        layers.RandomZoom(0.2, 0.2),
    ]
    augmentation = keras.Sequential(
        [layers.Normalization(), *(random if augment else ())], name="data_augmentation"
    )
    inputs = layers.Input((image_size, image_size, 3))
    x = PatchExtract(patch_size)(augmentation(inputs))
    x = PatchEmbedding((image_size // patch_size) ** 2, embedding_dim)(x)
    for _ in range(num_transformer_blocks):
        x = _block(x, mlp_dim, dropout, attention)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
