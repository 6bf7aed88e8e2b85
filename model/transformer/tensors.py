"""Dataclasses of tensors, nested or not, as mappings from field path to tensor."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import torch
from torch import Tensor

Data = TypeVar("Data")


def flatten(data: Any, prefix: str = "") -> dict[str, Tensor]:
    """Return every tensor by the path of field names to it, such as `tokens.kind_BL`."""
    found: dict[str, Tensor] = {}
    for field in fields(data):
        value, name = getattr(data, field.name), prefix + field.name
        found |= {name: value} if isinstance(value, Tensor) else flatten(value, f"{name}.")
    return found


def unflatten(kind: type[Data], by_name: Mapping[str, Tensor], prefix: str = "") -> Data:
    """Return the dataclass of the given type from the tensors of `flatten`."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        path = prefix + name
        is_nested = isinstance(hint, type) and is_dataclass(hint)
        values[name] = unflatten(hint, by_name, f"{path}.") if is_nested else by_name[path]
    return kind(**values)


def to_device(data: Data, device: torch.device) -> Data:
    """Return a copy of a dataclass with every tensor on a device."""
    return unflatten(type(data), move(flatten(data), device))


def move(by_name: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return the tensors on a device, without waiting for the copies to finish."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in by_name.items()}
