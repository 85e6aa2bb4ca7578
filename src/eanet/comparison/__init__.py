"""Comparison of models over seeds."""
