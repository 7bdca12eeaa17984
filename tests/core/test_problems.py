"""Every problem of a value, each at the smallest part that has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from kaireon_core.problems import InvalidValue, convert, problems_of


class Cat(msgspec.Struct, frozen=True, kw_only=True, tag="cat", tag_field="type", forbid_unknown_fields=True):
    """One arm of a union."""

    lives: Annotated[int, Meta(ge=1, le=9)]


class Dog(msgspec.Struct, frozen=True, kw_only=True, tag="dog", tag_field="type", rename="camel"):
    """The other arm; it takes unknown fields."""

    dog_tag: str
    friends: list[Cat | Dog] = []


Pet = Cat | Dog

CASES: dict[str, tuple[Any, Any, set[str]]] = {
    "a field": (Cat, {"type": "cat", "lives": 10}, {"$.lives"}),
    "missing and unknown": (Cat, {"colour": "red"}, {"$.lives", "$.colour"}),
    "another's tag": (Cat, {"type": "dog", "lives": 1}, {"$.type"}),
    "no such arm": (Pet, {"type": "cow"}, {"$.type"}),
    "no arm named": (Pet, {"lives": 1}, {"$.type"}),
    "a tag that is no text": (Pet, {"type": []}, {"$.type"}),
    "the arm named": (Pet | None, {"type": "dog", "barks": True}, {"$.dogTag"}),
    "no object": (Pet, [1], {"$"}),
    "deep": (
        Pet,
        {"type": "dog", "dogTag": 1, "friends": [{"type": "cat", "lives": 1}, {"type": "cat", "lives": 0}, 7]},
        {"$.dogTag", "$.friends[1].lives", "$.friends[2]"},
    ),
    "items": (tuple[int, ...], [1, "2", None], {"$[1]", "$[2]"}),
    "items of several types": (tuple[int, str], ["1", 2], {"$[0]"}),
    "values": (dict[str, list[int]], {"a": [1, "2"], "b": 3}, {"$.a[1]", "$.b"}),
    "a list or an object": (dict[str, int] | list[int], ["1", "2"], {"$[0]", "$[1]"}),
    "the whole, where every part is sound": (Annotated[list[int], Meta(min_length=2)], [1], {"$"}),
    "a word": (Literal["a", "b"], "c", {"$"}),
}


@pytest.mark.parametrize(("type_", "value", "paths"), CASES.values(), ids=CASES)
def test_names_each_part_that_is_wrong(type_: Any, value: Any, paths: set[str]) -> None:
    with pytest.raises(InvalidValue) as refused:
        convert(value, type_)
    assert sorted(problem.path for problem in refused.value.problems) == sorted(paths)


def test_has_nothing_to_say_of_what_fits() -> None:
    value = {"type": "dog", "dogTag": "7", "friends": [{"type": "cat", "lives": 9}]}
    assert convert(value, Dog) == Dog(dog_tag="7", friends=[Cat(lives=9)])
    assert list(problems_of(value, Pet)) == []
    assert list(problems_of({"lives": "9"}, Cat, strict=False)) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.sampled_from([0.5, "cat", "dog", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "lives", "dogTag", "friends", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=_JSON, type_=st.sampled_from([Pet, Cat, Dog, list[Pet], dict[str, Pet], Pet | None, tuple[Dog, ...]]))
def test_law_a_value_fits_or_has_problems_and_never_both(value: Any, type_: Any) -> None:
    problems = list(problems_of(value, type_))
    assert all(problem.path.startswith("$") for problem in problems)
    if problems:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, type_)
    else:
        assert msgspec.convert(value, type_) == convert(value, type_)
