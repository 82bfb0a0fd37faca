"""DESI: layouts, readers and names of DESI's releases.

Import the survey's value, ``desi.survey``. Nothing about another survey belongs here.
"""
