"""Segments: methods that switch intervals of a spectrum on and off, and share the score out among them.

Import them through ``engine.attribution.method``. Methods that know no segments belong one folder above.
"""
