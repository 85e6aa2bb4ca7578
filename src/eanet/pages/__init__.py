"""What every HTML page has in common: frame, style, charts."""
