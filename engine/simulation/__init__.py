"""Simulation: releases with known truth in the surveys' own files, to train and test on.

Import ``release`` and ``settings``. No part of a run, a query or a report imports it.
"""
