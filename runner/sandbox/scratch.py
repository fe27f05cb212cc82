"""A folder of this host for one command or a few, and its removal whatever they made of it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pullwright-"))
    try:
        yield folder
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Remove a file or a folder, whatever an agent made of it: modes taken away, thousands of levels.

    `rm` walks by descriptors and follows no link; shutil.rmtree recurses until Python gives up (docs/sandbox.md).
    """
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        gone = ["rm", "-rf", "--", str(path)]
        if subprocess.run(gone, check=False, stderr=subprocess.DEVNULL).returncode != 0:
            subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(gone, check=True)
