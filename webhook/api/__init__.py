"""The routes of docs/design.md, section 6: reads from the index, writes to Git."""
