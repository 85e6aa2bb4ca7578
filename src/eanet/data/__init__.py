"""Data: image sets and their sources, augmentation and batches."""
