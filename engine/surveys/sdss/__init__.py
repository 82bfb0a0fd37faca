"""SDSS: layouts, readers and names of the releases of SDSS, BOSS and eBOSS.

Import the survey's value, ``sdss.survey``. Nothing about another survey belongs here.
"""
