"""Agents that take a task through its stages inside Git. Start reading at `worker.py`."""
