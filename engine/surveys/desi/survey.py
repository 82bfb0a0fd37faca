"""DESI as one value."""

from __future__ import annotations

from engine.surveys.desi import coadd, coadd_head
from engine.surveys.desi.arms import JOINED_ARMS
from engine.surveys.desi.coadd_files import is_coadd, redshift_urls
from engine.surveys.desi.coadd_prefetch import prefetch_coadd
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.desi.healpix_layout import DESI_HEALPIX, DESI_UNIQPIX
from engine.surveys.desi.single_exposures import EXPOSURES, LONE_COADD
from engine.surveys.desi.tiles_layout import DESI_TILES
from engine.surveys.desi.viewer_list import viewer_list
from engine.surveys.layout import Layout
from engine.surveys.reader import Reader, RedshiftFile
from engine.surveys.survey import FirstBytes, ObservedMark, Survey, target_key

COADD = Reader(
    name=coadd.NAME,
    grid=DESI_GRID,
    recognises=coadd.recognises,
    describe=coadd.describe,
    units=coadd.units,
    open=coadd.CoaddSpectra,
    redshifts=RedshiftFile(
        coadd.redshift_table,
        coadd.RedshiftTable.of,
        lambda unit: unit.name in coadd.REDSHIFT_TABLES,
        coadd.holds_redshifts,
    ),
    prefetch=prefetch_coadd,
    unread=lambda unit: unit.name.endswith("_RESOLUTION"),  # 78 % of a coadd
)

# Coadds by pixel before those by tile, which hold the same spectra more than once.
_LAYOUTS = (DESI_HEALPIX, DESI_UNIQPIX, DESI_TILES)


def _of_production(root: str) -> tuple[Layout, ...]:
    """The first layout whose subdirectory a production has."""
    found = next((layout for layout in _LAYOUTS if layout.base(root)), None)
    return (found,) if found is not None else ()


DESI = Survey(
    name="desi",
    title="DESI",
    files="coadd-*.fits with redrock-*.fits or zbest-*.fits",
    file_noun="coadd files",
    readers=(COADD,),
    single_readers=(EXPOSURES, LONE_COADD),
    is_spectra_file=is_coadd,
    redshift_urls=redshift_urls,
    layouts=_LAYOUTS,
    production_layouts=_of_production,
    first_bytes=FirstBytes(coadd_head.HEAD_BYTES, coadd_head.describe),
    key_columns=("target_id", "source_row"),
    key=target_key,
    identifier_names=("targetid", "target_id"),
    object_column="target_id",
    joined_band=JOINED_ARMS.name,
    arm_edges=(5780.0, 7570.0),
    viewer_list=viewer_list,
    # Where the arms overlap: DESI Collaboration (2022, AJ 164, 207).
    observed_marks=(
        ObservedMark("b–r overlap", 5760.0, 5800.0, "instrument"),
        ObservedMark("r–z overlap", 7520.0, 7620.0, "instrument"),
    ),
)
