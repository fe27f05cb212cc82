"""The live view on a terminal: tasks, stages, agents, what they do; and keys to step in. Start reading at `view.py`."""
