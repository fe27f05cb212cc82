"""Scripted model servers on loopback: replies and faults from a list per test, every request recorded.

with ScriptedOllama([says("hello"), error(503, "server busy")]) as server:
    … server.url … server.requests
"""

from wire.ollama import ScriptedOllama
from wire.openai import ScriptedOpenAI
from wire.server import Answer, Asked

__all__ = ["Answer", "Asked", "ScriptedOllama", "ScriptedOpenAI"]
