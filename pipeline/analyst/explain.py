"""Why the numbers are what they are: of a day, and of a user."""

from pipeline.analyst.explain_day import explain_day
from pipeline.analyst.explain_user import explain_user

__all__ = ["explain_day", "explain_user"]
