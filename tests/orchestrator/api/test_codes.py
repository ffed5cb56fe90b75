"""The words for programs are those that the code gives, all of them, and stand in the API's description."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from orchestrator.api.codes import ERRORS, ROW_PROBLEMS
from orchestrator.api.openapi import build_openapi
from orchestrator.config import Settings
from orchestrator.jobs import flags
from orchestrator.jobs.flags import FLAGS
from orchestrator.jobs.item_errors import ITEM_ERRORS
from testkit.triton import ROOT

NAMED_IN = ("codes.py", "item_errors.py", "flags.py")
CODE = re.compile(r"[a-z]+(?:_[a-z]+)+|truncated|unchecked")
BY_FORMAT = {"too_many_rows", "too_many_columns", "too_many_cells"}
"""Put together from a word in the reader of workbooks."""
DESCRIPTION = build_openapi(Settings())
SCHEMAS = DESCRIPTION["components"]["schemas"]


def sources(*folders: str) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name not in NAMED_IN and "components" not in path.parts:
                yield ast.parse(Path(path).read_text(encoding="utf-8"))


def given(trees: Iterable[ast.Module], *calls: str) -> set[str]:
    """The first code in the arguments of each of these calls."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                words = [one.value for one in node.args if isinstance(one, ast.Constant)]
                codes = [word for word in words if isinstance(word, str) and CODE.fullmatch(word)]
                found.update(codes[:1])
    return found


def texts(trees: Iterable[ast.Module]) -> set[str]:
    """All string constants."""
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def names(trees: Iterable[ast.Module]) -> set[str]:
    """All names that are read, also those of a module."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    plain = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return plain | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_errors_of_requests() -> None:
    """What is raised is named, and what is named is raised."""
    api = given(sources("orchestrator/api"), "ApiError", "_later")
    tables = given(sources("client/avalua_client/tables"), "TableError", "RefusedError") | BY_FORMAT
    assert api | tables == set(ERRORS)
    assert given(sources("client/avalua_client/tables"), "Problem") == set(ROW_PROBLEMS)


def test_errors_of_items() -> None:
    """So it is with what keeps a text from its mark."""
    folders = ("orchestrator", "model_repository/preprocess/1", "model_repository/postprocess/1")
    raised = given(sources(*folders[:1]), "ItemError", "Refusal") | given(
        sources(*folders[1:]), "failed", "RefusedError"
    )
    assert raised <= set(ITEM_ERRORS)
    assert set(ITEM_ERRORS) <= texts(sources(*folders))


def test_flags() -> None:
    """So it is with flags, which are given by the names of their constants alone."""
    words = {name: word for name, word in vars(flags).items() if name.isupper() and isinstance(word, str)}
    assert set(words.values()) == set(FLAGS)
    trees = list(sources("model_repository/preprocess/1", "model_repository/postprocess/1"))
    assert names(trees) >= set(words)
    assert not texts(trees) & (set(FLAGS) - set(ITEM_ERRORS))


@pytest.mark.parametrize("name", ["flags", "item_errors"])
def test_triton_and_the_orchestrator_share_one_list(name: str) -> None:
    for folder in ("orchestrator/jobs", "model_repository/postprocess/1"):
        assert (ROOT / folder / f"{name}.py").resolve() == ROOT / f"model_repository/preprocess/1/{name}.py"


def test_all_of_them_are_described() -> None:
    assert SCHEMAS["ErrorCode"]["enum"] == list(ERRORS)
    assert SCHEMAS["ItemErrorCode"]["enum"] == list(ITEM_ERRORS)
    assert SCHEMAS["Flag"]["enum"] == list(FLAGS)
    assert SCHEMAS["JobStatus"]["enum"] == ["queued", "processing", "completed", "cancelled", "failed"]


@pytest.mark.parametrize("path", DESCRIPTION["paths"])
def test_each_call_has_a_name_and_a_tag(path: str) -> None:
    for call in DESCRIPTION["paths"][path].values():
        assert re.fullmatch(r"[a-z]+[A-Za-z]*", call["operationId"])
        assert set(call["tags"]) <= {tag["name"] for tag in DESCRIPTION["tags"]}


def test_names_are_given_once() -> None:
    names = [call["operationId"] for path in DESCRIPTION["paths"].values() for call in path.values()]
    assert len(names) == len(set(names))


def test_events_are_told_apart_by_their_name() -> None:
    """Each kind of event has its own shape, which its name chooses."""
    mapping = SCHEMAS["Event"]["discriminator"]["mapping"]
    for kind, target in mapping.items():
        schema = SCHEMAS[target.rpartition("/")[2]]
        assert schema["properties"]["event"]["const"] == kind
        assert schema["required"] == ["event", "data"]
