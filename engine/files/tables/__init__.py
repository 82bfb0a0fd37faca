"""Tables: columns of files that users name, in FITS, Parquet, VOTable, ECSV and CSV, integers exact.

Import ``table``.
"""
