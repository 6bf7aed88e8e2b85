"""Sources: one TOML each, and the model of that TOML."""
