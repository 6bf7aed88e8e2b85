"""A small, realistic log of our own making: no real rows, every byte from one seed."""
