"""The cross-session interest Transformer: predicts the interests of a user from the events of all sessions."""
