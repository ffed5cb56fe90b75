"""How the spreadsheets of a language and region split a line of a CSV file and write a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from avalua_client.tables.table import TableError


@dataclass(frozen=True)
class Locale:
    """What stands between two cells, and between a number's whole part and its fraction."""

    separator: str
    decimal: str


POINT: Final = Locale(",", ".")
COMMA: Final = Locale(";", ",")
_POINT_LANGUAGES: Final = "cy en ga gu he hi ja kn ko mr ms mt pa ta te th tl ur zh"
_COMMA_LANGUAGES: Final = (
    "af an ast az be bg br bs ca co cs da de el es et eu fi fo fr fur fy gl hr hu hy id is it ka kk ky "
    "la lb lt lv mk nb nl nn no oc pl pt ro ru sc scn se sk sl sq sr sv tr uk uz vec vi wa"
)
_POINT_IN_SPANISH: Final = "419 CU DO GT HN MX NI PA PE PR SV US"
_LANGUAGES: Final = {
    **dict.fromkeys(_POINT_LANGUAGES.split(), POINT),
    **dict.fromkeys(_COMMA_LANGUAGES.split(), COMMA),
}
# Regions that write otherwise than most who speak their language.
_REGIONS: Final = {
    **{("es", region): POINT for region in _POINT_IN_SPANISH.split()},
    **{(language, region): Locale(";", ".") for language in ("de", "it") for region in ("CH", "LI")},
    ("en", "ZA"): COMMA,
}
# BCP 47 ("ca-ES", "sr-Latn-RS", "ca-ES-valencia"), and as programs on Unix write it ("ca_ES.UTF-8").
_NAME: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_][a-z]{4})?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?(?:[-_.@][-_.@a-z0-9]*)?",
    re.IGNORECASE,
)


def find_locale(name: str) -> Locale:
    """The locale called `name`, a language with or without a region. Raises TableError."""
    found = _NAME.fullmatch(name)
    language = found["language"].lower() if found else ""
    if found is None or language not in _LANGUAGES:
        message = (
            "locale must be a language, with or without a region, such as ca, es-ES, es-MX, fr, pt or en-GB."
        )
        raise TableError("unknown_locale", message, {"languages": sorted(_LANGUAGES)})
    return _REGIONS.get((language, (found["region"] or "").upper()), _LANGUAGES[language])
