"""Image space: image HDUs of a FITS file that are filled row by row, so that no image is ever in memory."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

_BLOCK = 2880
_BITPIX = {"f4": -32, "f8": -64, "i4": 32}


class ImageSpace:
    """Room for one image of ``shape`` at the end of a file, all zeros until it is filled.

    Parameters
    ----------
    stream : open for writing, at its end.
    dtype : NumPy type code without byte order: f4, f8 or i4.
    cards : further keywords of the header, with values and comments.
    """

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        cards: list[tuple[str, str, str]],
    ) -> None:
        axes = [(f"NAXIS{place}", size) for place, size in enumerate(reversed(shape), 1)]
        first = [("XTENSION", "IMAGE"), ("BITPIX", _BITPIX[dtype]), ("NAXIS", len(shape)), *axes]
        header = fits.Header([*first, ("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", name), *cards])
        stream.write(header.tostring(padding=True).encode("ascii"))
        self._stream, self._start, self._dtype = stream, stream.tell(), np.dtype(f">{dtype}")
        self._row = int(np.prod(shape[1:], dtype=np.int64)) * self._dtype.itemsize
        stop = self._start + -(-shape[0] * self._row // _BLOCK) * _BLOCK
        stream.truncate(stop)
        stream.seek(stop)

    def fill(self, row: int, values: NDArray[np.generic]) -> None:
        """Put values into one row, or all of them from it on."""
        self._stream.seek(self._start + row * self._row)
        self._stream.write(values.astype(self._dtype).tobytes())
