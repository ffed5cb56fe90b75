"""The made-up classroom: fast, and standard library only, since any environment may make the data."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from demo_model.answers import Kind
from demo_model.assignments import COURSES, assignments, common
from demo_model.dataset import (
    HELD_OUT_ITEMS,
    LATER_GROUP,
    TRAIN_ITEMS,
    Item,
    item,
    items,
    stratified,
)
from demo_model.phrases import Side, as_sentence, clauses, expand
from demo_model.slips import with_slips

_A_TRAINING_SET = 20_000


@pytest.fixture(scope="module")
def train() -> list[Item]:
    return list(items(Side.TRAIN, _A_TRAINING_SET))


@pytest.fixture(scope="module")
def held_out() -> list[Item]:
    return list(items(Side.HELD_OUT, HELD_OUT_ITEMS))


def sentences(item: Item) -> set[str]:
    """Return the answer's sentences, or the clauses of a run-on one, in lower case without the stops."""
    return {part.strip(" .!?\n").casefold() for part in re.split(r"[.!?]+(?=\s|$)|\n", item.respuesta)} - {""}


def test_there_are_enough_prompts_and_items() -> None:
    """Sixteen assignments or more cover the four courses, each with four ideas or more."""
    assert len(assignments()) >= 16
    assert {assignment.course for assignment in assignments()} == set(COURSES)
    assert all(len(assignment.ideas) >= 4 for assignment in assignments())
    assert TRAIN_ITEMS >= 20_000
    assert HELD_OUT_ITEMS >= 1_000


def test_held_out_answers_share_no_sentence_with_training_ones(
    train: list[Item], held_out: list[Item]
) -> None:
    """What the model is judged on, it has never read."""
    read = set().union(*map(sentences, train))
    judged = set().union(*map(sentences, held_out))
    assert len(judged) > 1_000
    assert read & judged == set()


def test_every_phrase_has_clauses_on_both_sides() -> None:
    """No idea can be missing from either side, and no clause is on both."""
    phrases = [idea.phrase for assignment in assignments() for idea in assignment.ideas]
    phrases += [assignment.error for assignment in assignments()]
    phrases += [common().filler, common().conclusion, common().blank, *common().chatter]
    for phrase in phrases:
        train_side, held_out_side = (set(clauses(phrase, side)) for side in Side)
        assert train_side | held_out_side == set(expand(phrase))
        assert not train_side & held_out_side


def test_same_seed_makes_the_same_items() -> None:
    """Another process, which hashes strings differently, makes the same items."""
    command = [sys.executable, "-m", "demo_model.dataset", "--items", "20"]
    printed = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert [json.loads(line)["respuesta"] for line in printed.splitlines()] == [
        made.respuesta for made in items(Side.HELD_OUT, 20)
    ]
    assert item(Side.TRAIN, 7, seed=1) != item(Side.TRAIN, 7, seed=2)


def test_labels_follow_the_quality(train: list[Item]) -> None:
    """All marks come about equally often; what is off topic, copied or blank gets 0 or 1."""
    share = Counter(made.nota for made in train)
    assert all(share[mark] > _A_TRAINING_SET * 0.13 for mark in range(6))
    worthless = {Kind.OFF_TOPIC.value, Kind.COPY.value, Kind.BLANK.value}
    assert all(made.nota <= 1 for made in train if made.kind in worthless)
    assert any(made.off_topic for made in train)


def test_feedback_names_the_course_and_no_other(train: list[Item]) -> None:
    """Each comment names the student's own course, once; it fits in the JSON that the model is to write."""
    for made in train:
        assert re.findall(r"\d\w+ ESO", made.feedback) == [made.curso]
        assert made.target() == f'{{"nota": {made.nota}, "feedback": "{made.feedback}"}}'


def test_the_course_cannot_be_guessed_from_the_assignment(train: list[Item]) -> None:
    """Every assignment is given in more than one course."""
    courses: dict[str, set[str]] = {}
    for made in train:
        courses.setdefault(made.consigna, set()).add(made.curso)
    assert all(len(given) > 1 for given in courses.values())


def test_later_groups_begin_with_twins() -> None:
    """The second of a group is the first one's good answer under another assignment, worth little there."""
    for first in range(TRAIN_ITEMS, TRAIN_ITEMS + 400, LATER_GROUP):
        leader, twin = items(Side.TRAIN, 2, first=first)
        assert twin.respuesta == leader.respuesta
        assert twin.consigna != leader.consigna
        assert twin.nota <= 1 < leader.nota
        assert twin.off_topic


def test_texts_are_tidy(train: list[Item]) -> None:
    """Nothing is left of the phrases' markup, and no answer is empty."""
    for made in train:
        text = f"{made.consigna} {made.respuesta} {made.feedback}"
        assert not re.search(r"[{}|<>]| {2}| [,.;:]|,,", text), text
        assert made.respuesta.strip()


@pytest.mark.parametrize("count", [6, 60, 61])
def test_a_stratified_sample_has_every_mark(count: int) -> None:
    """A small sample has the six marks equally often, from the held-out side only."""
    sample = stratified(count)
    share = Counter(made.nota for made in sample)
    assert len(sample) == count
    assert max(share.values()) - min(share[mark] for mark in range(6)) <= 1
    assert all(made.id_alumno.startswith(Side.HELD_OUT.value) for made in sample)


def test_phrases_expand_to_tidy_clauses() -> None:
    """Alternatives multiply; empty ones leave no double space, and commas stick to the word before."""
    assert expand("{a|b} c{| d}") == ["a c", "a c d", "b c", "b c d"]
    assert expand("a {|, b} c") == ["a c", "a, b c"]
    assert as_sentence("el sol surt") == "El sol surt."


def test_slips_change_as_many_words_as_asked() -> None:
    """Slips stay in their words: their number is right and the rest of the text is untouched."""
    text = "Quan fa fred, l'aigua es condensa i després també plou a la novel·la."
    for seed in range(50):
        rewritten, slips = with_slips(random.Random(seed), text, 3)
        assert slips == 3
        assert rewritten != text
    assert with_slips(random.Random(0), text, 0) == (text, 0)
