"""Three thousand damaged files: each reads as if it were whole, or is quarantined; nothing else is raised."""

from __future__ import annotations

import gzip
import io
import random
import warnings
from pathlib import Path

import pytest
from astropy.io import fits

from engine.spectra.spectra import Spectra
from engine.surveys.reading import inspect, read_spectra
from models.errors import QuarantineError
from tests.engine.surveys.coadd_files import CoaddContent, contents

DAMAGES = {
    "plain": 450,
    "gzip": 350,
    "GZIP_1": 200,
    "GZIP_2": 150,
    "RICE_1": 150,
    "PLIO_1": 100,
    "fpacked": 100,
}
"""How many of each form of file, with checksums and again without; astropy's decoders are slow."""


def whole_file(form: str, checksum: bool) -> bytes:
    """A coadd of two spectra in one arm, with their redshifts.

    Compressed are its mask, all of its images, the file, or nothing.
    """
    content = CoaddContent(count=2, arms=("B",))
    hdus = content.alone()
    del hdus["B_RESOLUTION"]
    hdus.append(content.redrock()["REDSHIFTS"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy about keywords that it moves
        if form not in ("plain", "gzip"):
            method = "RICE_1" if form == "fpacked" else form
            hdus["B_MASK"] = fits.CompImageHDU(content.mask["B"], name="B_MASK", compression_type=method)
        if form == "fpacked":
            for kind, values in (("FLUX", content.flux), ("IVAR", content.ivar)):
                hdus[f"B_{kind}"] = fits.CompImageHDU(values["B"], name=f"B_{kind}", quantize_level=16)
        written = io.BytesIO()
        hdus.writeto(written, checksum=checksum)
    return gzip.compress(written.getvalue(), 1) if form == "gzip" else written.getvalue()


def parts_of(data: bytes) -> list[range]:
    """Header and data of every HDU but the first, whose header has no checksum; all of a gzip file."""
    if not data.startswith(b"SIMPLE"):
        return [range(len(data))]
    with fits.open(io.BytesIO(data), disable_image_compression=True) as hdus:
        places = [hdu.fileinfo() for hdu in hdus[1:]]
    return [
        part
        for place in places
        for part in (
            range(place["hdrLoc"], place["datLoc"]),
            range(place["datLoc"], place["datLoc"] + place["datSpan"]),
        )
    ]


def damage(data: bytearray, part: range, chance: random.Random) -> None:
    """Damage ``part`` of a file in place: a bit, a byte, a digit, a card, or a piece that is lost."""
    place = chance.choice(part)
    match chance.choice(("bit", "byte", "digit", "card", "piece", "end")):
        case "bit":
            data[place] ^= 1 << chance.randrange(8)
        case "byte":
            data[place] = chance.randrange(256)
        case "digit":
            digits = [each for each in part[:20000] if chr(data[each]).isdigit()] or [place]
            data[chance.choice(digits)] = chance.choice(b"0123456789")
        case "card":
            first = part.start + (place - part.start) // 80 * 80
            data[first : first + 80] = b" " * 80
        case "piece":
            stop = min(place + chance.choice((4, 100, 3000)), part.stop)
            data[place:stop] = bytes(stop - place)
        case "end":
            del data[place:]


def read(path: Path, data: bytes) -> Spectra:
    path.write_bytes(data)
    return read_spectra(inspect(str(path)))


@pytest.mark.parametrize("form", DAMAGES)
def test_a_damaged_file_reads_as_if_whole_or_is_quarantined(tmp_path: Path, form: str) -> None:
    path = tmp_path / "coadd-main-dark-1.fits"
    warnings.simplefilter("ignore")  # of astropy about damaged headers
    for checksum in (True, False):
        whole = whole_file(form, checksum)
        expected, parts = read(path, whole), parts_of(whole)
        assert (expected.flux != 0).sum() > 5000
        quarantined = 0
        for seed in range(DAMAGES[form]):
            chance, damaged = random.Random(f"{form} {seed}"), bytearray(whole)
            damage(damaged, chance.choice(parts), chance)
            try:
                found = read(path, bytes(damaged))
            except QuarantineError:
                quarantined += 1
                continue
            if checksum or form == "gzip":
                assert found.flux.tobytes() == expected.flux.tobytes(), seed
                assert found.ivar.tobytes() == expected.ivar.tobytes(), seed
                assert contents(found.rows) == contents(expected.rows), seed
        assert quarantined > DAMAGES[form] / 4


def test_a_decoder_that_cannot_stand_damage_is_not_used(tmp_path: Path) -> None:
    content = CoaddContent(count=4, arms=("B",))
    hdus = content.alone()
    hdus.append(content.redrock()["REDSHIFTS"])
    hdus["B_MASK"] = fits.CompImageHDU(
        content.mask["B"], name="B_MASK", compression_type="HCOMPRESS_1", tile_shape=(4, 64)
    )
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    with pytest.raises(QuarantineError, match="HDU B_MASK is compressed by HCOMPRESS_1") as caught:
        read_spectra(inspect(str(path)))
    assert caught.value.kind == "undecodable-file"
