"""Bodies that no operation of today takes: types within themselves."""

from __future__ import annotations

import msgspec
import pytest

from kaireon_api.decode import BodyDecoder
from kaireon_application.errors import InvalidInput


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """As deep as the caller likes."""

    children: list[Tree] = []
    size: int = 0


@pytest.mark.parametrize("levels", [65, 300, 601, 981, 10_000])
@pytest.mark.parametrize("leaf", [b'{"size":1}', b'{"size":"1"}'])
def test_depth_is_refused_whatever_is_at_the_bottom(levels: int, leaf: bytes) -> None:
    with pytest.raises(InvalidInput, match="nested deeper than 64"):
        BodyDecoder(Tree).decode(_nested(levels, leaf))


def test_depth_up_to_the_limit_is_taken() -> None:
    assert BodyDecoder(Tree).decode(_nested(63, b'{"size":1}')) is not None
    with pytest.raises(InvalidInput, match="Expected `int`"):
        BodyDecoder(Tree).decode(_nested(63, b'{"size":"1"}'))


def _nested(levels: int, leaf: bytes) -> bytes:
    """Return a body with at least this many levels, one of them the leaf's; each tree below another takes two."""
    depth = levels // 2
    return b'{"children":[' * depth + leaf + b"]}" * depth
