"""Files: bytes of source files, local or behind a URL, and the structure of FITS.

Import readers of bytes and headers. What a survey writes into a file never belongs here.
"""
