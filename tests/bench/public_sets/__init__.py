"""Logs that others published: reading them, the questions asked of them, and how the baselines answer (MODEL.md 3)."""
