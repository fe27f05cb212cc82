"""The pages: a board, a task, the agents, discussions. Templates, one stylesheet, one small script; no build step."""
