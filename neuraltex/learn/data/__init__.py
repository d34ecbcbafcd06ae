"""Textures to learn from: read from folders, or made by a procedure."""
