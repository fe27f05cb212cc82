"""Descriptors that live for one start of a program."""

import contextlib
import os

NAME = "pullwright"
"""Of what is handed over in memory."""


class Descriptors(contextlib.ExitStack):
    """Opens what is to be handed to a program and closes it at the end of the `with` block."""

    def data(self, content: bytes) -> int:
        """A descriptor from which `content` is read."""
        fd = os.memfd_create(NAME)
        self.callback(os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def pipe_from(self) -> tuple[int, int]:
        """A pipe (our end to read, the program's to write); ours outlives the block unless it fails."""
        read, write = os.pipe()
        self.callback(os.close, write)
        self._close_on_failure(read)
        return read, write

    def pipe_to(self) -> tuple[int, int]:
        """A pipe (the program's end to read, ours to write); ours outlives the block unless it fails."""
        read, write = os.pipe()
        self.callback(os.close, read)
        self._close_on_failure(write)
        return read, write

    def _close_on_failure(self, fd: int) -> None:
        self.push(lambda failure, *_: None if failure is None else os.close(fd))
