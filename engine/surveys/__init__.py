"""Surveys: layouts and readers of releases; one folder and one value in ``SURVEYS`` for each survey.

Import ``listing``, ``reading`` and ``surveys``. No other folder asks which survey it has.
"""
