"""Anything that turns a prepared scene into a texture; here the gradient fit."""
