"""Pydantic's errors about a lab as sentences for an organizer."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from quota.lab import Lab
from quota.lab_fields import FAULTS, Fault, Path, did_you_mean, shown

_SEE = "see docs/organizers.md"
_BLOCK = ("{value} stands where a block belongs", "write 'key: value' lines below it, indented")
_EMPTY = ("there is nothing in it", "write at least {min_length}")
_LONG = ("{value} is too long", "write at most {max_length}")

# By pydantic's type of error: what is wrong, and what would be right.
_SENTENCES = {
    "model_type": _BLOCK,
    "dict_type": _BLOCK,
    "tuple_type": ("{value} is not a list", "write a list in brackets, like [one, two]"),
    "int_type": ("{value} is not a whole number", "write one like 600, without quotes"),
    "float_type": ("{value} is not a number", "write one like 2 or 0.5"),
    "greater_than": ("{value} is too little", "write more than {gt}"),
    "greater_than_equal": ("{value} is too little", "write {ge} or more"),
    "less_than_equal": ("{value} is too much", "write {le} or less"),
    "literal_error": ("{value} is not known here", "write {expected}"),
    "too_short": _EMPTY,
    "string_too_short": _EMPTY,
    "too_long": _LONG,
    "string_too_long": _LONG,
}


def faults_of(error: ErrorDetails) -> Iterator[Fault]:
    """Turn one of pydantic's errors into faults with paths from the top of the file."""
    path, context = error["loc"], error.get("ctx", {})
    if error["type"] == FAULTS:
        for fault in context["faults"]:
            yield Fault((*path, *fault.path), fault.wrong, fault.right)
    elif error["type"] == "too_short" and len(error["input"]) >= context["min_length"]:
        return  # pydantic counts only the good ones; the bad ones have complaints of their own
    elif error["type"] in ("missing", "extra_forbidden"):
        yield _key_fault(error["type"], path)
    else:
        yield Fault(path, *_value_sentence(error))


def _key_fault(kind: str, path: Path) -> Fault:
    key, fields = str(path[-1]), _model_at(path[:-1]).model_fields
    if kind == "missing":
        meaning = (fields[key].description or "").rstrip(".")
        return Fault(path, f"'{key}' is missing", f"add '{key}: ...' ({meaning})")
    known = [name for name, field in fields.items() if field.description]
    right = did_you_mean(key, known, f"known here are {', '.join(known)}")
    return Fault(path, f"{shown(key)} is not known here", right)


def _value_sentence(error: ErrorDetails) -> tuple[str, str]:
    """Say what is wrong with a value and what would be right."""
    value, context = error["input"], error.get("ctx", {})
    unknown = ("{value} cannot be used (" + error["msg"].replace("{", "") + ")", _SEE)
    wrong, right = _SENTENCES.get(error["type"], unknown)
    if value is None:
        wrong = "nothing is written here"
    return wrong.format(value=shown(value)), right.format(**context)


def _model_at(path: Path) -> type[BaseModel]:
    """Find the model that describes what stands at a path."""
    model: type[BaseModel] = Lab
    for part in path:
        field = model.model_fields.get(str(part))
        inner = None if field is None else _model_in(field.annotation)
        model = model if inner is None else inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)
