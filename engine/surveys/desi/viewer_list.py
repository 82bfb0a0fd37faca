"""Viewer list of DESI: TARGETIDs as prospect takes them, and as comments the tiles, nights and fibres.

``prospect_pages --target_list FILE`` (https://github.com/desihub/prospect, module
``prospect.scripts.prospect_pages``) reads a TARGETID per line and passes over comments. It finds them
below ``--datadir`` by ``--dirtree_type``: ``healpix`` with ``--survey_program`` and ``--pixels``,
``cumulative`` with ``--tiles``. The Legacy Surveys' viewer has a page of a spectrum,
``viewer/desi-spectrum/dr1/targetidTARGETID``, and one of a fibre,
``viewer/desi-obs/daily/tileTILEfiberFIBER`` (https://github.com/legacysurvey/imagine, ``map/urls.py``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from engine.spectra.observation import exposures_of
from engine.surveys.viewer_list import ListedSpectrum

_Name = TypeVar("_Name", str, tuple[int, int])
_PIXEL_KEY = re.compile(r"[^/]*/(?P<survey>[^/]+)/(?P<program>[^/]+)/(?P<pixel>[0-9]+)/[^/]+")


def viewer_list(spectra: Sequence[ListedSpectrum]) -> str:
    """TARGETIDs, a line each and each once; before them, as comments, where prospect and others find them."""
    named = dict.fromkeys(each.target_id for each in spectra if each.target_id > 0)
    lines = ["# prospect_pages --target_list FILE reads the TARGETIDs below"]
    lines += [*_pixels(spectra), *_tiles(spectra)]
    lines += [f"# without TARGETID: {each.key}" for each in spectra if each.target_id <= 0]
    return "\n".join([*lines, *map(str, named)]) + "\n"


def _pixels(spectra: Sequence[ListedSpectrum]) -> Iterator[str]:
    """Options of prospect by survey and program."""
    found = [match for each in spectra if (match := _PIXEL_KEY.fullmatch(each.key))]
    pixels = _sets((f"{match['survey']} {match['program']}", int(match["pixel"])) for match in found)
    for names, numbers in pixels.items():
        yield f"# --dirtree_type healpix --survey_program {names} --pixels {_numbers(numbers)}"


def _tiles(spectra: Sequence[ListedSpectrum]) -> Iterator[str]:
    """Options of prospect, then the fibres of each tile and night."""
    exposures = [one for each in spectra for one in exposures_of(each.exposures)]
    known = (one for one in exposures if min(one.tile, one.fiber) >= 0)
    fibres = _sets(((one.tile, one.night), one.fiber) for one in known)
    if fibres:
        yield f"# --dirtree_type cumulative --tiles {_numbers({tile for tile, _ in fibres})}"
    for (tile, night), numbers in fibres.items():
        yield f"# tile {tile} night {night} fibers {_numbers(numbers)}"


def _sets(pairs: Iterator[tuple[_Name, int]]) -> Mapping[_Name, set[int]]:
    found: dict[_Name, set[int]] = defaultdict(set)
    for name, number in pairs:
        found[name].add(number)
    return dict(sorted(found.items(), key=lambda each: each[0]))


def _numbers(numbers: set[int]) -> str:
    return " ".join(map(str, sorted(numbers)))
