"""Files: one spectrum of a file, of a survey's or of one's own."""

from __future__ import annotations

from flows.interface.spectrum import Spectrum


def read(
    file: str,
    *,
    target_id: int | None = None,
    row: int | None = None,
    redshift: float | None = None,
    spectral_class: str = "",
    medium: str = "vacuum",
) -> Spectrum:
    """One spectrum of any file that ``whyspec explain`` reads, on its own pixels.

    Parameters
    ----------
    file : path or URL of a file of DESI or SDSS, of a CSV, ECSV or Parquet table, or of what specutils reads.
    target_id, row : which of several spectra; one of them.
    redshift, spectral_class : instead of what the file says.
    medium : ``vacuum`` or ``air``, in which a table's wavelengths are.

    Raises
    ------
    InputError : there is no such file or spectrum, or it cannot be read; the text names what it is.
    ConfigurationError : the file has several spectra, and it is not said which.
    """
    from engine.attribution.occlusion.settings import OcclusionSettings
    from flows.spectrum.chosen_spectrum import found_spectrum
    from flows.spectrum.spectrum_choice import SpectrumRequest

    request = SpectrumRequest(
        str(file),
        target_id,
        row,
        None,
        OcclusionSettings(),
        redshift=redshift,
        spectral_class=spectral_class.upper(),
        medium=medium,
    )
    found = found_spectrum(request)
    return Spectrum(**{name: getattr(found, name) for name in found.__dataclass_fields__})
