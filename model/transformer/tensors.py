"""Dataclasses of tensors and of such dataclasses, as tensors by name, whatever fields they have."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import torch
from torch import Tensor

Told = TypeVar("Told")


def leaves(told: Any, prefix: str = "") -> dict[str, Tensor]:
    """Return every tensor under the path of field names that leads to it, such as `batch.kind_BL`."""
    found: dict[str, Tensor] = {}
    for field in fields(told):
        value, name = getattr(told, field.name), prefix + field.name
        found |= {name: value} if isinstance(value, Tensor) else leaves(value, f"{name}.")
    return found


def rebuilt(kind: type[Told], of_name: Mapping[str, Tensor], prefix: str = "") -> Told:
    """Return the dataclass whose leaves are `of_name`."""
    made: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        path = prefix + name
        is_nested = isinstance(hint, type) and is_dataclass(hint)
        made[name] = rebuilt(hint, of_name, f"{path}.") if is_nested else of_name[path]
    return kind(**made)


def on(told: Told, device: torch.device) -> Told:
    """Return the same with every tensor on a device."""
    return rebuilt(type(told), moved(leaves(told), device))


def moved(of_name: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return the tensors on a device, without waiting for the copies to arrive."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in of_name.items()}
