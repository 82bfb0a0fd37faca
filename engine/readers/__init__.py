"""Readers: from a survey's files to :class:`engine.spectra.Spectra`."""
