"""Discussions as the service has them: rows, reads, what is written to Git, and replies on their way."""
