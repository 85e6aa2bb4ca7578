"""The report of a run: a page, and the files beside it."""
