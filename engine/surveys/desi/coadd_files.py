"""Coadds and files of redshifts by their names."""

from __future__ import annotations

from collections.abc import Sequence

from engine.surveys.directory import PACKINGS, directory_of, name_of, unpacked
from engine.surveys.layout import Found


def is_coadd(url: str) -> bool:
    """Whether a URL is that of a coadd."""
    return name_of(url).startswith("coadd-")


def redshift_urls(url: str) -> tuple[str, ...]:
    """Where the redshifts of a coadd may be: ``redrock-X`` beside ``coadd-X``, compressed or not.

    ``zbest-X`` is what DESI called it before the middle of 2021.
    """
    if not is_coadd(url):
        return ()
    name = unpacked(name_of(url)).removeprefix("coadd-")
    kinds = (f"{directory_of(url)}/{kind}-{name}" for kind in ("redrock", "zbest"))
    return tuple(f"{kind}{end}" for kind in kinds for end in ("", *PACKINGS))


def holds_all_coadds(found: Found, urls: Sequence[str]) -> bool:
    """Whether a layout takes or skips every coadd of a listing: one outside of it would be lost."""
    coadds = {url for url in urls if is_coadd(url)}
    skipped = {file.url for file in found.skipped}
    return len(found.candidates) + len(skipped & coadds) >= len(coadds)
