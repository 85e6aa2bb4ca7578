"""Steps of a release: ``python -m tools.NAME``."""
