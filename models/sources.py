"""Several photographs of one person: sources (B, N, 3, H, W) with poses (B, N, P, H, W); one alone may lack the N.

What a source alone decides is computed of each by itself. Where a generator looks at positions of its source, it looks
at those of all N, by one softmax: no parameter is added, order is of no account, and one photograph given twice is as
given once.
"""

from __future__ import annotations

from torch import Tensor


def num_sources(source_image: Tensor) -> int:
    """N of (B, N, 3, H, W); 1 of (B, 3, H, W)."""
    return source_image.shape[1] if source_image.ndim == 5 else 1


def flat_sources(sources: Tensor) -> Tensor:
    """(B, N, C, H, W) to (B*N, C, H, W), the sources of a sample one after the other; (B, C, H, W) as it is."""
    return sources.flatten(0, 1) if sources.ndim == 5 else sources


def mean_source(sources: Tensor) -> Tensor:
    """(B, N, C, H, W) to the mean of each sample's sources (B, C, H, W); (B, C, H, W) as it is."""
    return sources.mean(dim=1) if sources.ndim == 5 else sources


def first_source(sources: Tensor) -> Tensor:
    """(B, N, C, H, W) to the first of each sample (B, C, H, W); (B, C, H, W) as it is."""
    return sources[:, 0] if sources.ndim == 5 else sources


def to_count(sources: Tensor, count: int) -> Tensor:
    """(B, N, C, H, W) or (B, C, H, W) to `count` sources, a multiple of N: each as often, which changes no image."""
    if count == 1:
        return first_source(sources)
    several = sources if sources.ndim == 5 else sources.unsqueeze(1)
    return several.repeat(1, count // several.shape[1], 1, 1, 1)


def for_each(per_sample: Tensor, count: int) -> Tensor:
    """(B, ...) to (B*N, ...), for the N sources of each sample."""
    return per_sample.repeat_interleave(count, dim=0) if count > 1 else per_sample


def side_by_side(positions: Tensor, count: int) -> Tensor:
    """(B*N, C, M) to (B, C, N*M): the positions of all sources of a sample in a row."""
    return positions if count == 1 else positions.unflatten(0, (-1, count)).transpose(1, 2).flatten(2)


def apart(positions: Tensor, count: int) -> Tensor:
    """(B, C, N*M) to (B*N, C, M): what `side_by_side` joined."""
    return positions if count == 1 else positions.unflatten(2, (count, -1)).transpose(1, 2).flatten(0, 1)
