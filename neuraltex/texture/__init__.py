"""Textures as things to optimize: their parameters, how they are read, baked and filled."""
