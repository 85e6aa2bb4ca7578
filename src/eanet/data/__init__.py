"""What is seen: image sets, where they come from, augmentation, batches."""
