"""Simulated releases: DESI and SDSS files with known redshifts and anomalies, to train and test on."""
