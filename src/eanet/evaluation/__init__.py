"""Evaluation: metrics, reports, comparisons and benchmarks."""
