"""Training: optimiser and schedule, the loop, the run directory."""
