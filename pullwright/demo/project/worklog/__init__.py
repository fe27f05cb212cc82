"""Where the hours went, from a text file."""
