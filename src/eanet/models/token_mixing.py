"""The ways to mix tokens in a block, by name, to compare them."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from eanet.errors import unknown_name
from eanet.models.external_attention import ExternalAttention
from eanet.models.self_attention import SelfAttention


def _self_attention(
    dim: int, heads: int, slots: int, coefficient: int, *, dropout: float, output_dropout: float
) -> SelfAttention:
    return SelfAttention(dim, heads, dropout=dropout, output_dropout=output_dropout)


MIXINGS: dict[str, Callable[..., nn.Module] | None] = {
    "external": ExternalAttention,
    "self": _self_attention,
    "none": None,
}


def create_mixing(
    name: str,
    dim: int,
    heads: int,
    slots: int,
    coefficient: int,
    *,
    dropout: float,
    output_dropout: float,
) -> nn.Module | None:
    """Create the named attention, ignoring sizes that it does not have; None for "none".

    The arguments are those of `ExternalAttention`.

    Raises:
        EanetError: the name is unknown.
        ValueError: the sizes do not fit each other.
    """
    if name not in MIXINGS:
        raise unknown_name("mixing", name, MIXINGS)
    build = MIXINGS[name]
    if build is None:
        return None
    return build(dim, heads, slots, coefficient, dropout=dropout, output_dropout=output_dropout)
