"""Recipes are read with line numbers; overrides are YAML and know where they go."""

from __future__ import annotations

import pytest

from graphforget.exceptions import InputError
from graphforget.pipeline.reading import apply_overrides, read_recipe, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2E4", 2e4),
        ("0.5", 0.5),
        ("3", 3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1e-2", -0.01),
        ("on", True),
        ("null", None),
        ("2024-01-01", "2024-01-01"),
        ("1e", "1e"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_values_mean_what_they_look_like(text: str, value: object) -> None:
    found = read_yaml(text, "here")[0]
    assert found == value and type(found) is type(value)


def test_every_key_has_its_line() -> None:
    _, lines = read_yaml("a: 1\nb:\n  c: 2\n  d:\n    - e: 3\n", "here")
    assert (lines["a",], lines["b",], lines["b", "c"], lines["b", "d", 0, "e"]) == (1, 2, 3, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "here, line 2: this is not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "here, line 3: the key 'a' stands twice"),
        ("a: !!python/object/apply:os.system [ls]", "here, line 1: this is not valid YAML: could not determine a constructor"),
    ],
)
def test_bad_yaml_names_the_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match="line") as caught:
        read_yaml(text, "here")
    assert str(caught.value).startswith(message)


def test_overrides_set_nested_keys_and_leave_the_source_alone() -> None:
    content = {"a": {"b": 1}, "list": [{"c": 1}]}
    assert apply_overrides(content, ["a.b=2", "new.deep.key=1e-2", "list.0.c=x", "a.d=null"]) == {
        "a": {"b": 2, "d": None},
        "new": {"deep": {"key": 0.01}},
        "list": [{"c": "x"}],
    }
    assert content == {"a": {"b": 1}, "list": [{"c": 1}]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a.b", "path=value"),
        ("=3", "path=value"),
        ("a..b=3", "path=value"),
        ("a.b.c=3", "'a.b' is 1, a value without keys"),
        ("list.5=1", "is a list of 1"),
        ("list.x=1", "is a list of 1"),
        ("a.b=[", "not valid YAML"),
    ],
)
def test_a_bad_override_says_what_is_wrong(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_overrides({"a": {"b": 1}, "list": [1]}, [override])
    assert message in str(caught.value)


def test_shipped_recipes_are_found_by_name_and_files_by_path(tmp_path) -> None:
    assert read_recipe("demo")[0]["name"] == "demo"
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    assert read_recipe(tmp_path / "mine.yaml")[0] == {"name": "mine"}
    with pytest.raises(InputError, match="cora_nodes, dblp_edges, demo"):
        read_recipe("dmo")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="a recipe is a YAML mapping"):
        read_recipe(tmp_path / "list.yaml")
