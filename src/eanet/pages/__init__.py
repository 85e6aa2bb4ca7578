"""What every HTML page has in common: frame, style, embedded images."""
