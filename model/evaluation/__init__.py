"""The referee: contestants judged on days that none of them has seen (MODEL.md 4)."""
