"""The evidence that a stage needs, as the runner itself sees it. Start reading at `evidence`."""
