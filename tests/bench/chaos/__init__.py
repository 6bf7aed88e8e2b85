"""Nights that are broken at chosen points, and what the same command makes of them."""
