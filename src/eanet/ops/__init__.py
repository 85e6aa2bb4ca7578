"""Operators and their kernels: what layers compute with."""
