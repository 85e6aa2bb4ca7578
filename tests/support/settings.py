"""Settings that models of different names share."""

from __future__ import annotations


def blocks(name: str, number: int) -> dict[str, int]:
    """The setting of a named model that gives it so many blocks."""
    return {"num_transformer_blocks" if name.startswith("keras_") else "depth": number}
