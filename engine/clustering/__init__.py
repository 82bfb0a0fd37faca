"""Clusters of explanations: rest-frame features, principal axes, k-means, stability."""
