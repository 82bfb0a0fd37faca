"""Spectra: what a spectrum is in memory, as read, normalised and scored.

Import dataclasses and the scorer. Nothing that opens a file belongs here.
"""
