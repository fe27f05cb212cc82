"""What people say on a forge, as tasks and commands, and what they read there. Pure."""
