"""Models' files: which there are and what they say of a model, without its network or PyTorch."""
