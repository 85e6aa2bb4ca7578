"""Settings that tests of different parts share."""

from __future__ import annotations

from eanet.config import ResolvedSettings


def blocks(name: str, number: int) -> dict[str, int]:
    """The setting of a named model that gives it so many blocks."""
    return {"num_transformer_blocks" if name.startswith("keras_") else "depth": number}


def resolved(**given: object) -> ResolvedSettings:
    """Settings of a small run on the processor with every choice made, with those given."""
    return ResolvedSettings.parse(
        {
            "model": "vit",
            "recipe": "own.yaml",
            "image_size": 8,
            "name": "run",
            "batch_size": 4,
            "learning_rate": 1e-3,
            "flip": False,
            "device": "cpu",
            "precision": "fp32",
            "compile": "off",
            "threads": 1,
            **given,
        }
    )
