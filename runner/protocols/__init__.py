"""How a model says which tool it wants. One file a protocol; each only turns values into values."""
