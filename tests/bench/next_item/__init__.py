"""The Transformer's blocks before the question which item comes next: order alone, no times, no tags."""
