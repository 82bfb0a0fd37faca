"""Links to public viewers, and URLs as they may be shown."""

from __future__ import annotations

import math
import re
from pathlib import PurePath
from urllib.parse import urlencode

from engine.surveys.survey import ViewerLink
from engine.surveys.surveys import survey_on
from models.grid import WavelengthGrid
from models.secrets import HIDDEN, redacted_url


def viewer_links(grid: WavelengthGrid, key: str, ra: float, dec: float) -> tuple[ViewerLink, ...]:
    """Viewers that can show a spectrum on ``grid`` or its object: images by position, the survey's pages."""
    links = []
    if math.isfinite(ra) and math.isfinite(dec):
        mark = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}", "layer": "ls-dr10", "zoom": "15"}
        query = urlencode({**mark, "mark": f"{ra:.6f},{dec:.6f}"}, safe=",")
        links.append(ViewerLink("Legacy Surveys image", f"https://www.legacysurvey.org/viewer?{query}"))
    survey = survey_on(grid)
    return (*links, *(survey.viewer_links(key) if survey is not None else ()))


def public_url(url: str) -> str:
    """``url`` without user, query, fragment and secrets, which a store of an earlier version may hold."""
    shown = redacted_url(url)
    return re.split("[?#]", shown)[0].replace(f"{HIDDEN}@", "") if "://" in shown else shown


def short_name(url: str) -> str:
    """A release in a heading: the last part of a path, ``host/…/last`` of a URL, no credentials.

    ``/data/desi/iron/`` is ``iron``, ``s3://desidata/dr1/spectro/redux/iron`` is ``desidata/…/iron``.
    """
    shown = public_url(url)
    if "://" not in shown:
        return PurePath(shown).name or shown
    host, *path = [part for part in shown.partition("://")[2].split("/") if part] or [shown]
    if len(path) < 2:
        return "/".join([host, *path])
    return f"{host}/…/{path[-1]}"
