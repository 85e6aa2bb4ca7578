"""Measurements behind docs/performance.md and comments on speed: ``python -m benchmarks.NAME``."""
