"""Which settings a comparison sets itself; imported by the command line before PyTorch."""

PER_RUN = ("model", "seed", "init", "output", "name")  # each run has its own
