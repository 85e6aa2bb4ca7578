"""What it is worth: metrics and pictures."""
