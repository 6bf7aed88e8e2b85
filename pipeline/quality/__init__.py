"""Quality gates: the suites as JSON, and what runs them."""
