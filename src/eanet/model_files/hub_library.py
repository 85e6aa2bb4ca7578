"""What is used of the Hugging Face Hub's library."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # In a notebook, its progress bars miss widgets, which they do without.
    warnings.filterwarnings("ignore", "IProgress not found")
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download

__all__ = ["ModelCard", "ModelHubMixin", "hf_hub_download"]
