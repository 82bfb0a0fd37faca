"""Inverse multiscale occlusion: which wavelengths, at which scale, make a spectrum odd."""
