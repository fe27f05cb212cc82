"""What an agent may try against the host, each with the proof that it works where the defence is missing."""
