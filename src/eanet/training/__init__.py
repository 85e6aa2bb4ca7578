"""How it is learned: optimiser and schedule, the loop, the run directory."""
