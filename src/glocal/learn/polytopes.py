"""Vertices of the regular polytopes that exist in every dimension, as fixed class weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError

Polytope = Literal["simplex", "orthoplex", "cube"]
_MOST = 2**24  # numbers; a cube of more is never meant


def vertex_count(polytope: Polytope, dim: int) -> int:
    """Number of vertices: ``d + 1`` of the simplex, ``2 d`` of the orthoplex, ``2^d`` of the cube.

    Raises:
        LearnError: the polytope is unknown, or the dimension is less than 1.
    """
    if dim < 1:
        raise LearnError(f"a polytope has at least 1 dimension, not {dim}")
    counts: dict[str, int] = {"simplex": dim + 1, "orthoplex": 2 * dim, "cube": int(2**dim)}
    if polytope not in counts:
        raise LearnError(f"there is no polytope {polytope!r}; use one of {', '.join(counts)}")
    return counts[polytope]


def vertices(polytope: Polytope, dim: int, count: int | None = None) -> Tensor:
    """The first vertices of a regular polytope around the origin, at distance 1.

    The coordinates are those of Pernici, Bruni, Baecchi and Del Bimbo, Regular Polytope Networks
    (2021), and depend on nothing but the arguments: a training next year has the same.

    - d-simplex: ``e_1, ..., e_d, alpha sum_i e_i`` with ``alpha = (1 - sqrt(d + 1)) / d``, moved to
      have its mean at the origin and scaled. Any two have the cosine ``-1 / d``.
    - d-orthoplex: ``+-e_1, ..., +-e_d``, the positive ones first. Any two have the cosine 0, or -1.
    - d-cube: ``{-1, 1}^d / sqrt(d)``, in the order of binary numbers.

    Args:
        polytope: which.
        dim: ``d``, number of dimensions.
        count: number of vertices; None for all.

    Returns:
        ``(count, dim)`` float32, unit rows.

    Raises:
        LearnError: it has fewer vertices, or the cube would not fit memory.
    """
    total = vertex_count(polytope, dim)
    count = total if count is None else count
    if not 1 <= count <= total:
        raise LearnError(
            f"the {polytope} of {dim} dimensions has {total} vertices, not {count}; use more "
            "dimensions, or a polytope with more vertices"
        )
    if count * dim > _MOST:
        raise LearnError(f"{count} vertices of {dim} dimensions are too many; ask for fewer")
    if polytope == "orthoplex":
        axes = torch.eye(dim)
        return torch.cat([axes, -axes])[:count]
    if polytope == "cube":
        numbers = torch.arange(count)[:, None]
        # A count that memory holds has less than 63 binary digits.
        bits = (numbers >> torch.arange(dim).clamp(max=62)) & 1
        signs: Tensor = (2.0 * bits - 1) / float(dim**0.5)
        return signs
    shift = float((1 - (dim + 1) ** 0.5) / dim)
    found = torch.cat([torch.eye(dim).double(), torch.full((1, dim), shift).double()])
    found = functional.normalize(found - found.mean(dim=0), dim=1)
    return found.float()[:count]
