"""The cross-session interest Transformer: what a user did over all sessions, read to what they will turn to next."""
