"""Learned textures: what photographs do not show, from networks trained on many textures over one uv layout."""
