"""Catalogue: a store's spectra and explanations as Parquet, for questions to millions of rows.

Import ``building`` to make it, ``reading`` to read it. The store's arrays stay the truth: a catalogue
can be deleted and made anew, and what it lacks is read from the arrays.
"""
