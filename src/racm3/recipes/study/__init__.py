"""The study: the papers' comparisons as data, each trained, measured and told by one command."""
