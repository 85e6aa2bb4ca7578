"""The arguments for masks that blocks of other libraries pass to any attention."""

from __future__ import annotations

from torch import Tensor


def refuse_mask(attn_mask: Tensor | None, is_causal: bool) -> None:
    """Refuse what would hide tokens from each other.

    Raises:
        ValueError: there is a mask.
    """
    if attn_mask is not None or is_causal:
        raise ValueError(
            "these layers attend to all tokens; pass attn_mask=None and is_causal=False"
        )
