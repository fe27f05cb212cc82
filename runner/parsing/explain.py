"""msgspec's complaint about a value → a sentence for the person who wrote it, and what to write instead."""

import difflib
import re
from typing import Any, NamedTuple

import msgspec

from runner.parsing.characters import shown

Path = tuple[str | int, ...]
"""Keys and indices from the top of a file down to a value."""


class Fault(NamedTuple):
    """What is wrong at `path` of a file, and what to do about it."""

    path: Path
    what: str
    remedy: str


_AT = re.compile(r" - at `(?:key` in `)?\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`$")
_PART = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")


def where(error: msgspec.ValidationError, value: Any) -> Path:
    """The path in `value` of which `error` speaks, as deep as msgspec tells it."""
    match = _AT.search(str(error))
    path: list[str | int] = []
    for part in _PART.finditer(match[1] if match else ""):
        step: str | int | None = part[1] or (int(part[2]) if part[2] else None)
        if step is None or not _has(value, step):
            break
        path.append(step)
        value = value[step]
    return tuple(path)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, dict) and step in value


def explain(error: msgspec.ValidationError, path: Path, value: Any, type: type, source: str) -> Fault:
    """The fault of which `error` speaks.

    `path` is `where` it stands in `value`, which was to become a `type`; `source` the scalar there as it is written.
    """
    from msgspec import inspect  # only when something is wrong

    info = inspect.type_info(type)
    for step in path:
        info, value = _inner(_bare(info), step), value[step]
    kind = _bare(info)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        return _keys(kind, value, path)
    return Fault(path, _complaint(kind, value, source), _remedy(info, value, source))


def _bare(info: Any) -> Any:
    """The type itself, without `| None` and what is only told about it."""
    from msgspec import inspect

    while isinstance(info, inspect.Metadata | inspect.UnionType):
        if isinstance(info, inspect.Metadata):
            info = info.type
        else:
            info = next(kind for kind in info.types if not isinstance(kind, inspect.NoneType))
    return info


def _told(info: Any) -> dict[str, Any]:
    """What a `Meta` tells of a type beside its bounds: description and examples."""
    from msgspec import inspect

    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return next((kind.extra_json_schema or {} for kind in kinds if isinstance(kind, inspect.Metadata)), {})


def _inner(info: Any, step: str | int) -> Any:
    fields = getattr(info, "fields", ())
    named = next((field.type for field in fields if field.encode_name == step), None)
    return named or getattr(info, "item_type", None) or getattr(info, "value_type", None)


def _keys(info: Any, value: dict[str, Any], path: Path) -> Fault:
    names = [field.encode_name for field in info.fields]
    unknown = next((key for key in value if key not in names), None)
    if unknown is not None:
        remedy = f"{_nearest(unknown, names)}the keys here are {', '.join(names)}"
        return Fault((*path, unknown), "there is no such key", remedy)
    field = next(field for field in info.fields if field.required and field.encode_name not in value)
    what, remedy = f"the key `{field.encode_name}` is missing", f"add `{field.encode_name}:`, {_wanted(field.type)}"
    return Fault(path, what, remedy)


def _nearest(word: str, names: list[str]) -> str:
    near = difflib.get_close_matches(word.lower().replace("-", "_"), names, 1)
    return f"did you mean `{near[0]}`? " if near else ""


def _complaint(info: Any, value: Any, source: str) -> str:
    name = type(info).__name__
    if value is None:
        return "it has no value"
    if name == "StrType" and not isinstance(value, str):
        return f"{_quoted(value, source)} is read as {_kind(value)}, not as text"
    if name in ("IntType", "FloatType") and type(value) in (int, float) and (name == "FloatType" or type(value) is int):
        return _bounds(info, value)
    if name == "StrType":
        return _text(info, value)
    if name == "VarTupleType" and isinstance(value, list):
        return "the list is empty"
    return f"{_quoted(value, source)} is not {_wanted(info).partition(', each ')[0].partition(' (')[0]}"


def _bounds(info: Any, value: float) -> str:
    if info.le is not None and value > info.le:
        return f"{value} is more than {info.le}"
    if info.ge is not None and value < info.ge:
        return f"{value} is less than {info.ge}"
    return f"{value} is not more than {info.gt}"


def _text(info: Any, value: str) -> str:
    if not value:
        return "the text is empty"
    if info.max_length and len(value) > info.max_length:
        return f"the text has {len(value)} characters, more than {info.max_length}"
    return f"`{shown(value)}` cannot stand here"


def _remedy(info: Any, value: Any, source: str) -> str:
    kind = _bare(info)
    if type(kind).__name__ == "StrType" and isinstance(value, bool | int | float):
        return f'put it in quotes: "{shown(source)}"'
    return (_nearest(value, _options(kind)) if isinstance(value, str) else "") + f"give {_wanted(info)}"


def _options(info: Any) -> list[str]:
    """The few values that an enumeration or a literal allows."""
    if type(info).__name__ == "EnumType":
        return [str(one.value) for one in info.cls]
    return [str(one) for one in info.values] if type(info).__name__ == "LiteralType" else []


def _wanted(info: Any) -> str:
    """What a type takes, as the object of "give …"."""
    kind = _bare(info)
    told = _told(info)
    match type(kind).__name__:
        case "IntType":
            return "a whole number" + _range(kind)
        case "FloatType":
            return "a number" + _range(kind)
        case "StrType" if kind.pattern and (example := next(iter(told.get("examples", ())), None)):
            return f"text such as `{example}`: {told.get('description', '')}".removesuffix(": ")
        case "StrType":
            return "text" + (f" of {kind.min_length or 0} to {kind.max_length} characters" if kind.max_length else "")
        case "BoolType":
            return "true or false"
        case "EnumType" | "LiteralType":
            return " or ".join([", ".join(_options(kind)[:-1]), _options(kind)[-1]]).removeprefix(" or ")
        case "VarTupleType":
            return f"a list, each item {_wanted(kind.item_type)}"
        case _:
            return "a mapping (`key: value`, indented below it)"


def _range(info: Any) -> str:
    low = f" from {info.ge}" if info.ge is not None else f" above {info.gt}" if info.gt is not None else ""
    if info.le is None:
        return low.replace(" from", " of at least")
    return f"{low} to {info.le}" if low else f" of at most {info.le}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a list" if isinstance(value, list) else "a mapping"


def _quoted(value: Any, source: str) -> str:
    return "this" if isinstance(value, list | dict) else f"`{shown(source or str(value))}`"
