"""Fonts that ship with a package, and which of them has a character.

FiraGO (text) and Cascadia Mono (code) come with `pymupdf-fonts` under the SIL Open Font License; the parts of them that
a document uses are embedded in it. Chinese, Japanese and Korean are set in the fonts that PDF readers have for these
scripts (ISO 32000-1, 9.7.5.2), which are not embedded.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from io import BytesIO
from itertools import chain

TEXT = "FiraGO"
CODE = "CascadiaMono"

_FILES = {TEXT: ("figo", "figbo", "figit", "figbi"), CODE: ("cascadia", "cascadiab", "cascadiai", "cascadiabi")}
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"

MISSING = "□"
MOST_RUNS = 300  # of one text: people change fonts now and then, not with each letter
_STAND_INS = {
    **dict.fromkeys("✅✔☑🗸", "✓"),
    **dict.fromkeys("❌✗✘☒✖", "×"),
    **dict.fromkeys("★☆⭐", "*"),
    **dict.fromkeys("⇒⟶➜➔⟹", "→"),
    **dict.fromkeys("⇐⟵", "←"),
    **dict.fromkeys("⚠❗", "!"),
    "☐": "□",
}
"""For what agents like to write and no font here has; what is in neither is taken apart as Unicode says (NFKC)."""


def runs(text: str, font: str) -> Iterator[tuple[str, str]]:
    """`text` in pieces, each with the name of a font that has it: `font` where it can, then the others.

    Characters that steer and do not show are left out. What no font has becomes `MISSING`.
    """
    name, run, left = font, "", MOST_RUNS
    for wanted, piece in chain.from_iterable(_pieces(char, font) for char in text):
        if not left and wanted != font:
            wanted, piece = font, MISSING
        if wanted != name and piece != " ":  # a space belongs to the word before it
            if run:
                yield name, run
            name, run, left = wanted, "", max(0, left - 1)
        run += piece
    if run:
        yield name, run


@lru_cache(maxsize=4096)
def _pieces(char: str, font: str) -> tuple[tuple[str, str], ...]:
    """One character as (font, character) pairs: itself, what stands for it, or nothing."""
    kind = unicodedata.category(char)
    if char in "\t\n" or (kind[0] == "Z" and char != "\u00a0"):
        return ((font, char if char == "\n" else " "),)
    if kind[0] == "C":
        return ()
    if name := _font_of(char, font):
        return ((name, char),)
    if kind == "Mn":  # a mark that no font has would stand alone as a box
        return ()
    instead = _STAND_INS.get(char) or unicodedata.normalize("NFKC", char)
    known = instead != char and all(_font_of(each, font) for each in instead)
    return tuple((_font_of(each, font), each) for each in (instead if known else MISSING))


def _font_of(char: str, font: str) -> str:
    """The font that `char` is set in where `font` is wanted; empty where none has it."""
    for name in (font, TEXT, CODE):
        if ord(char) in load()[name]:
            return name
    return _far_east(ord(char))


def _far_east(code: int) -> str:
    """The font for ideographs, kana and hangul of the basic plane."""
    if 0x3040 <= code <= 0x30FF or 0xFF61 <= code <= 0xFF9F:
        return _loaded(_JAPANESE)
    if 0xAC00 <= code <= 0xD7A3 or 0x1100 <= code <= 0x11FF:
        return _loaded(_KOREAN)
    if 0x3000 <= code <= 0x303F or 0x3400 <= code <= 0x9FFF or 0xFF00 <= code <= 0xFF60:
        return _loaded(_CHINESE)
    return ""


@cache
def load() -> dict[str, frozenset[int]]:
    """Make the fonts known to reportlab, once for each process; font → the code points that all its styles have."""
    import pymupdf_fonts  # type: ignore[import-untyped]
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    characters = {}
    for font, files in _FILES.items():
        styles = (font, f"{font}-Bold", f"{font}-Italic", f"{font}-BoldItalic")
        loaded = [TTFont(name, BytesIO(pymupdf_fonts.myfont(file))) for name, file in zip(styles, files, strict=True)]
        for one in loaded:
            pdfmetrics.registerFont(one)
        pdfmetrics.registerFontFamily(font, *styles)
        characters[font] = frozenset.intersection(*(frozenset(one.face.charToGlyph) for one in loaded))
    return characters


@cache
def _loaded(font: str) -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont(font))
    pdfmetrics.registerFontFamily(font, font, font, font, font)
    return font
