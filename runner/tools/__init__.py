"""What an agent can do. One file a tool; a tool is a function whose signature and docstring are its schema."""

from runner.tools.work import Answer, Ask, Body, Finish, Journal, Observation, Tool, Work, observation_cap

__all__ = ["Answer", "Ask", "Body", "Finish", "Journal", "Observation", "Tool", "Work", "observation_cap"]
