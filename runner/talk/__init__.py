"""Talking with agents: what was said lies in Git, one ref a discussion; answers are made from what belongs to it."""
