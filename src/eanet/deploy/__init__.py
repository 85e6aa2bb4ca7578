"""How it is used: prediction."""
