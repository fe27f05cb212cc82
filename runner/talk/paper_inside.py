"""The part of reading a PDF that runs inside the sandbox: the file on stdin, a line of JSON for each page on stdout.

It is handed to the sandbox's own `python3 -I -S -c`, with the folder that holds pypdfium2 and the bounds as words. A
page is its words and its pixels, which are compressed and no picture yet: that is made outside, by who checks them.
"""

import base64
import json
import os
import sys
import zlib
from typing import Any


def lines(data: bytes, most: int, wide: int, words: int, size: int) -> Any:
    """What there is to say of a PDF, as values for JSON: first how many pages, then each of them.

    Of the first `most` pages the pixels, `wide` across and at most twice that down, until they take `size` bytes; of
    all pages the text, until that has `words` characters.
    """
    import pypdfium2  # type: ignore[import-untyped,unused-ignore]

    document = pypdfium2.PdfDocument(data)
    yield {"pages": len(document)}
    for number in range(len(document)):
        page = document[number]
        told = {"page": number + 1, "text": page.get_textpage().get_text_bounded()[: max(0, words)]}
        words -= len(told["text"]) + 1
        if number < most and size > 0:
            told |= drawn(page, wide)
            size -= len(told["pixels"])
        elif words < 0:
            return
        yield told
        page.close()


def drawn(page: Any, wide: int) -> dict[str, Any]:
    """A page as lines of red, green and blue, each after a zero as in PNG, compressed, in base64."""
    across, down = (max(1.0, side) for side in page.get_size())
    found = page.render(
        scale=min(wide / across, 2 * wide / down),
        rev_byteorder=True,
        may_draw_forms=False,
        fill_color=(255, 255, 255, 255),
    )
    width, height, stride, data = found.width, found.height, found.stride, bytes(found.buffer)
    step = found.n_channels
    rows = (data[row * stride : row * stride + step * width] for row in range(height))
    squeezed = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return {"width": width, "height": height, "pixels": base64.b64encode(squeezed).decode()}


def main(folder: str, *bounds: str) -> None:
    """Say it all, or why not."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.path.insert(0, folder)
    try:
        for each in lines(sys.stdin.buffer.read(), *map(int, bounds)):
            sys.stdout.write(json.dumps(each) + "\n")
            sys.stdout.flush()
    except Exception as error:
        sys.stdout.write(json.dumps({"fault": f"{type(error).__name__}: {error}"[:300]}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
