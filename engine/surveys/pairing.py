"""Which redshift file goes with which file of spectra, told by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.surveys.directory import directory_of, kind_of, name_of
from engine.surveys.scheme import Candidate


def pair(urls: Sequence[str]) -> tuple[Candidate, ...]:
    """Candidates of files given one by one; ``redrock-X`` goes with the ``coadd-X`` beside it.

    A redshift file is looked for where it should be even if it was not named; one whose spectra were not
    named is a candidate by itself, to be refused with a reason.
    """
    given = set(urls)
    return _pair(urls, lambda url: url in given or kind_of(url) == "file")


def pair_listed(urls: Sequence[str]) -> tuple[Candidate, ...]:
    """:func:`pair` for files of a full listing: what is not in it does not exist."""
    given = set(urls)
    return _pair(urls, lambda url: url in given)


def redshift_names(url: str) -> tuple[str, ...]:
    """Where the redshifts of a file of spectra may be; nowhere where it holds its own.

    ``redrock-*`` beside a DESI coadd; ``spZbest-*`` of an SDSS plate or field beside it, or in a directory
    named after the reduction (RUN1D), which without a listing is taken to be that of the plate (RUN2D).
    """
    directory, name = directory_of(url), name_of(url)
    if name.startswith("coadd-"):
        base = f"{directory}/redrock-{name.removeprefix('coadd-').removesuffix('.gz')}"
        return base, f"{base}.gz"
    if name.startswith(("spPlate-", "spField-")):
        best = f"spZbest-{name.split('-', 1)[1]}"
        run2d = name_of(directory_of(directory))
        return f"{directory}/{run2d}/{best}", f"{directory}/{best}"
    return ()


def _pair(urls: Sequence[str], exists: Callable[[str], bool]) -> tuple[Candidate, ...]:
    candidates = [
        Candidate(url, next((option for option in redshift_names(url) if exists(option)), "")) for url in urls
    ]
    taken = {candidate.redshift_url for candidate in candidates}
    return tuple(candidate for candidate in candidates if candidate.url not in taken)
