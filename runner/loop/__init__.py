"""A model and a stage's tools, turn by turn. Start reading at `dialogue`."""
