"""A next-item network of the Transformer's blocks: it reads the order of items, no times and no tags."""
