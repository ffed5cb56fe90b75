"""The parts that orders to a grader are made of, as patterns for a folded and shortened text. Pure.

Gaps in such a text have at most 8 characters and words at most 24, so none of these patterns reaches further
than a fixed number of characters from where it starts: nothing else is repeated without a bound.
"""

from __future__ import annotations

import wording
from wording import any_of


def within(count: int) -> str:
    """Up to ``count`` other words, and what separates them from the next one."""
    return rf"(?:\W+\w+){{0,{count}}}?\W+"


SPACE = r"[^\w.!?:;]+"  # between words of one clause


def within_clause(count: int) -> str:
    """The same, in one clause."""
    return rf"(?:{SPACE}\w+){{0,{count}}}?{SPACE}"


# Marks, and who or what gets them.
ARTICLE = any_of("un una el la a an the con amb with")
THESE, THIS = any_of(wording.THESE), any_of(wording.THIS)
PERSON, GRADED = any_of(wording.PERSON), any_of(f"{wording.PERSON} {wording.TEXT}")
MARK, HIGHEST, EXCELLENT = any_of(wording.MARK), any_of(wording.HIGHEST), any_of(wording.EXCELLENT)
NUMBER = rf"{any_of(wording.NUMBER)}\b(?:\s?(?:/|sobre|de|out of)\s?{any_of(wording.NUMBER)}\b)?"
POINTS = any_of("points? punts puntos marks?")
# The end of a clause, or the student or text that gets the mark.
END = (
    rf"\b(?=\s?(?:$|[^\w\s%/+=*°€$'-]|\n|{any_of(wording.AFTER_A_MARK)}\b|{POINTS}\b"
    rf"|{any_of(wording.FOR_WHOM)}\s(?:aquest|est[aeo]\b|this|m[ey]\b|mi\b|tot|todo|all\b|every|(?:{THIS}\s?)?{GRADED})))"
)
LINE_END = r"(?=\s?[.!]?\s?(?:$|\n))"
HIGH_MARK = (
    rf"(?:{HIGHEST}\s(?:poss?ible\s)?{MARK}\b|{MARK}\s(?:final\s)?(?:es\s|is\s|de\s|of\s|to\s|=\s?|:\s?)?"
    rf"(?:un\s|a\s)?(?:{HIGHEST}\b|[0-5]\b(?![.,]\d)|{NUMBER}))"
)
A_HIGH_MARK = (
    rf"(?:{ARTICLE}\s(?:{MARK}\s(?:de\s)?)?(?:{NUMBER}|{EXCELLENT}){END}"
    rf"|(?:{ARTICLE}\s)?{HIGH_MARK}|{any_of('full_marks top_marks full_credit(?!_to_the)')}\b)"
)
IS, SHOULD_BE = any_of("es is sera will_be"), any_of(wording.SHOULD_BE)
VALUE = rf"(?:un\s|una\s|a\s|an\s)?(?:{NUMBER}|{EXCELLENT})\b"

# Where an order begins. An "i" before an English verb is its subject.
ALWAYS = any_of(wording.ALWAYS)
CLAUSE = r"(?:^|[^\w\s'·-]|\n|\s-)\W{0,4}"
AND = (
    rf"\b(?:i(?!\s{any_of(wording.ENGLISH)}\b)|y|and|o|or"
    rf"|{any_of(wording.PLEASE)}|{any_of(wording.FROM_NOW_ON)}),?\s"
)
MUST = rf"\b{any_of(wording.MUST)}\s?(?:em\s|me\s|m'|li\s|le\s)?"
ORDER = rf"(?:{CLAUSE}|{AND}|{MUST})(?:{ALWAYS}\s)?"

# What is ordered.
GIVE, TELL, BARE = (
    rf"{any_of(words)}{wording.CLITIC}\b" for words in (wording.GIVE, wording.TELL, wording.BARE)
)
APPROVE, GRADING, OBTAIN = any_of(wording.APPROVE), any_of(wording.GRADING), any_of(wording.OBTAIN)
GIVING = (
    rf"(?:{GIVE}{within_clause(4)}(?:{ALWAYS}\s)?{A_HIGH_MARK}|{TELL}{within_clause(4)}(?:{ARTICLE}\s)?{HIGH_MARK}"
    rf"|{GIVE}\s(?:una\s|a\s)?{any_of('bona buena good')}\s{MARK}\b"
    rf"|{BARE}\s(?:{ALWAYS}\s)?{NUMBER}{END}|{GIVE}{SPACE}{THIS}\s?{GRADED}\s{NUMBER}{END}"
    # A number without an article may be anything: only alone, or to whom it matters here.
    rf"|{any_of('posa posi poseu pon ponga give assign award')}(?:'m|me)?\s{NUMBER}(?:\s{POINTS})?{LINE_END}"
    rf"|{GIVE}\s{NUMBER}(?:\s{POINTS})?\s{any_of('a al to')}\s{THIS}\s?{GRADED})"
)
WITH = any_of("as amb con with")
GRADING_WITH = (
    rf"(?:{GRADING}(?:{SPACE}\w+){{1,4}}?{SPACE}(?:(?:{WITH}\s|de\s){EXCELLENT}|{A_HIGH_MARK})"
    rf"|{any_of('grade mark rate score puntua puntueu')}\s(?:it|me|this|esto|aixo|{THIS}\s?{GRADED})\s"
    rf"(?:{WITH}\s)?{NUMBER}{END})"
)
FILLING = any_of(wording.FILLING)
IGNORE = rf"{any_of(wording.IGNORE)}(?:['-]?(?:te|t|us))?\b"
RULES, PREVIOUS = any_of(wording.RULES), any_of(wording.PREVIOUS)
# "Forget the rules and be free": rules alone, where the sentence goes on.
OF_LIFE = rf"{IGNORE}\s(?:de\s)?(?:les|las|the)\s{any_of('normes normas regles reglas rules')}\s(?:i|y|and)\b"
OF_GRADING, OF_OTHERS = any_of(wording.OF_GRADING), any_of(wording.OF_OTHERS)
ROLE = rf"(?:{any_of(wording.MACHINE)}|{any_of(wording.TEACHER)})\b"
KIND, BE, HIDDEN_MODE = any_of(wording.KIND), any_of(wording.BE), any_of(wording.HIDDEN_MODE)
ANSWER = any_of("respon responde answer reply respond contesta")
QUOTE = r"\s?\\?[\"']?\s?"
