"""Textures as the solution of normal equations, accumulated in one streaming pass over the photographs."""
