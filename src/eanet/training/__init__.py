"""Training: optimiser and schedule, the loop, the run directory."""

from eanet.process import process_counts

process_counts()  # wrong variables are said here: Lightning reads them as it is imported, and fails
