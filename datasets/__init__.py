"""Whole datasets painted on one machine or on a cluster: `adain dataset`.

Ray Data runs it: a pool of workers, each with a model of its own, takes parts of the source, and each part becomes files of the target.
"""
