"""Complete, named runs."""
