"""Pairs of files: which redshift file goes with which file of spectra, by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.surveys.directory import kind_of
from engine.surveys.layout import Candidate

RedshiftUrls = Callable[[str], tuple[str, ...]]
"""Where the redshifts of a file of spectra may be, the likeliest first."""


def pair(urls: Sequence[str], redshift_urls: RedshiftUrls) -> tuple[Candidate, ...]:
    """Candidates of files given one by one, each with the first of its redshift files that exists.

    A redshift file is looked for where it should be even if it was not named; one whose spectra were not
    named is a candidate by itself, to be refused with a reason.
    """
    given = set(urls)
    return _pair(urls, redshift_urls, lambda url: url in given or kind_of(url) == "file")


def pair_listed(urls: Sequence[str], redshift_urls: RedshiftUrls) -> tuple[Candidate, ...]:
    """:func:`pair` for files of a full listing: what is not in it does not exist."""
    given = set(urls)
    return _pair(urls, redshift_urls, lambda url: url in given)


def _pair(
    urls: Sequence[str], redshift_urls: RedshiftUrls, exists: Callable[[str], bool]
) -> tuple[Candidate, ...]:
    candidates = [
        Candidate(url, next((option for option in redshift_urls(url) if exists(option)), "")) for url in urls
    ]
    taken = {candidate.redshift_url for candidate in candidates}
    return tuple(candidate for candidate in candidates if candidate.url not in taken)
