"""SDSS as one value: its surveys from SDSS-I to SDSS-V."""

from __future__ import annotations

import re
from types import MappingProxyType
from urllib.parse import urlencode

from engine.surveys.reader import Reader, RedshiftFile
from engine.surveys.sdss import plate, spec
from engine.surveys.sdss.conventions import KEY_COLUMNS, coverage, spectrum_key
from engine.surveys.sdss.grid import SDSS_GRID
from engine.surveys.sdss.layouts import (
    SDSS_EPOCH,
    SDSS_FULL,
    SDSS_PLATE,
    SDSS_SPEC,
    best_fit_urls,
    is_plate,
    is_spectrum,
    of_reduction,
)
from engine.surveys.sdss.sp_spec import SP_SPEC
from engine.surveys.sdss.viewer_list import viewer_list
from engine.surveys.survey import ObservedMark, Survey, ViewerLink

_PLATE_KEY = re.compile(r"^[^/]+/(?P<plate>\d{4,5})-(?P<mjd>\d+)-(?P<fiber>\d{1,4})$")

PLATE = Reader(
    name=plate.NAME,
    grid=SDSS_GRID,
    recognises=plate.recognises,
    describe=plate.describe,
    units=plate.units,
    open=plate.PlateSpectra,
    redshifts=RedshiftFile(plate.redshift_table, plate.BestFits.of, lambda unit: unit.is_table),
    prefetch=plate.prefetch_plate,
)
SPEC: Reader[None] = Reader(
    name=spec.NAME,
    grid=SDSS_GRID,
    recognises=spec.recognises,
    describe=spec.describe,
    units=spec.tables,
    open=lambda file, _redshifts, _names, _start, _stop: spec.OneSpectrum(file),
)


def viewer_links(key: str) -> tuple[ViewerLink, ...]:
    """SDSS's page of a spectrum that has a plate and a fibre."""
    match = _PLATE_KEY.match(key)
    if match is None:
        return ()
    query = urlencode({name: int(match[name]) for name in ("plate", "mjd", "fiber")})
    return (ViewerLink("SDSS", f"https://skyserver.sdss.org/dr18/VisualTools/explore/summary?{query}"),)


SDSS = Survey(
    name="sdss",
    title="SDSS",
    files="spec-*, spPlate-* or spField-*.fits",
    readers=(PLATE, SPEC),
    single_readers=(SP_SPEC,),
    is_spectra_file=lambda url: is_plate(url) or is_spectrum(url),
    redshift_urls=best_fit_urls,
    layouts=(SDSS_PLATE, SDSS_SPEC, SDSS_FULL, SDSS_EPOCH),
    production_layouts=of_reduction,
    key_columns=KEY_COLUMNS,
    key=spectrum_key,
    identifier_names=("specobjid", "spec_obj_id", "catalogid"),
    joint_name=MappingProxyType(
        {"plate": ("plate", "field"), "mjd": ("mjd",), "fiber": ("fiber", "fiberid")}
    ),
    unsigned_identifiers=True,
    coverage=coverage,
    # The dichroic: Smee et al. (2013, AJ 146, 32).
    arm_edges=(6000.0,),
    observed_marks=(ObservedMark("dichroic", 5800.0, 6200.0, "instrument"),),
    viewer_links=viewer_links,
    viewer_list=viewer_list,
)
