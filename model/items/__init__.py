"""`items-1`, the model of `top_items`: which items a user will touch next."""
