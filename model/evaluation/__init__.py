"""Compares models on days that none of them has seen."""
