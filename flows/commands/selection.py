"""Selection: the options by which commands choose spectra of a store, the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from engine.query.settings import QuerySettings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which spectra are chosen, as the command line says it.

    Parameters
    ----------
    target_id
        TARGETIDs (SDSS: SPECOBJIDs). Spectra that are not outliers are found too.
    key
        Spectrum keys, as the table shows them.
    top
        Largest number of spectra.
    z
        Redshifts from:to, e.g. 0.1:0.3, 0.1: or :0.3.
    cluster
        Cluster number.
    clustering
        Name of the clustering that --cluster refers to. Default: that of the set of explanations.
    near
        Right ascension, declination and radius: 150.1 2.2 5arcsec, or 10:00:24 +02:12:00 0.1deg.
    moc
        Region of the sky: file of a MOC (FITS, ASCII, JSON), or the MOC itself: "5/1-3 7".
    targets
        Table of TARGETIDs, SPECOBJIDs, keys or plate, mjd, fiber: FITS, Parquet, VOTable, ECSV, CSV.
        Spectra that are not outliers are found too.
    targets_column
        Column of that table which names spectra.
    status
        Spectra of that status instead of outliers: scored, sky_fibre, no_redshift, ...; any for all.
    class_
        Spectral classes: GALAXY, QSO, STAR.
    snr
        S/N from:to, e.g. 2:10, 2: or :10.
    zwarn
        Redshift warning bits, exactly these: 0 is good.
    fiber
        Numbers of fibres.
    superseded
        Also rows that newer rows of the same spectrum replace.
    place
        Where one of the places is: a line (Halpha, OIII, "[O III] 5008") or a rest wavelength in
        Angstrom; +-15 Angstrom unless written 5008+-5; obs:5579 for an observed wavelength.
    observed
        Observed wavelength of one of the places in Angstrom: 5579, or 5579+-5; else +-15 Angstrom.
    line
        The line that one of the places is of, whatever its width: Halpha, OIII, "[O III] 5008".
    cause
        What most likely made the spectrum odd: second_redshift, broad_lines, sky_residuals, unknown, ...
    instrument
        Range of the probability that instrument, sky or reduction did it, LOW:HIGH such as 0:0.2.
    caution
        Cautions that the explanation carries, e.g. edge sky_lines; any for at least one.
    without_caution
        Cautions that the explanation does not carry; any for explanations without cautions.
    explanation
        Name of the set of explanations that is asked for places, cause and cautions, see whyspec attribute
        --help. Default: that of the runs.
    order
        Columns to order by, with a comma between; snr:desc for the largest first. Default: oddest first.
    columns
        Columns of the answer, with a comma between, among all that the store has; see docs/query.md.
    """

    target_id: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    key: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    top: int | None = None
    z: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    cluster: int | None = None
    clustering: str = "default"
    near: Annotated[tuple[str, str, str] | None, Parameter(allow_leading_hyphen=True, negative=())] = None
    moc: str | None = None
    targets: Path | None = None
    targets_column: str | None = None
    status: str | None = None
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative=())] = ()
    snr: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    zwarn: int | None = None
    fiber: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = ()
    superseded: Annotated[bool, Parameter(negative=())] = False
    place: str | None = None
    observed: str | None = None
    line: str | None = None
    cause: str | None = None
    instrument: str | None = None
    caution: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    without_caution: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    explanation: str = ""
    order: str | None = None
    columns: str | None = None

    def settings(self, where: str) -> QuerySettings:
        """The settings of a query; ``where`` is an expression in names of columns, empty for none.

        Raises
        ------
        ConfigurationError : an option makes no sense.
        InputError : the region's file or the table of targets cannot be read.
        """
        from engine.query.conditions.moc import read_moc
        from engine.query.conditions.near import parse_cone
        from engine.query.settings import (
            QuerySettings,
            parse_probability_range,
            parse_redshift_range,
            parse_snr_range,
        )
        from engine.query.target_list import read_target_list
        from flows import option_types

        return QuerySettings(
            target_ids=tuple(map(option_types.identifier, self.target_id)),
            keys=self.key,
            targets=read_target_list(self.targets, self.targets_column) if self.targets is not None else None,
            where=where,
            near=parse_cone(*self.near) if self.near is not None else None,
            moc=read_moc(self.moc) if self.moc is not None else None,
            status=(self.status or "").replace("-", "_"),
            classes=self.class_,
            snr=parse_snr_range(self.snr) if self.snr is not None else None,
            zwarn=self.zwarn,
            fibers=self.fiber,
            superseded=self.superseded,
            observed="" if self.observed is None else option_types.not_empty("--observed", self.observed),
            order=option_types.comma_list(self.order or ""),
            columns=option_types.comma_list(self.columns or ""),
            top=self.top,
            redshift=parse_redshift_range(self.z) if self.z is not None else None,
            cluster=self.cluster,
            clustering=self.clustering,
            place="" if self.place is None else option_types.not_empty("--place", self.place),
            line="" if self.line is None else option_types.not_empty("--line", self.line),
            cause="" if self.cause is None else option_types.not_empty("--cause", self.cause),
            instrument=parse_probability_range(self.instrument) if self.instrument is not None else None,
            cautions=self.caution,
            without_cautions=self.without_caution,
            explanation=self.explanation,
        )


ALL_OUTLIERS = Selection()
"""What is chosen without options."""
