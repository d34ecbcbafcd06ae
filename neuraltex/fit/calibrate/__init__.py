"""What the photographs say about themselves: exposure, white balance, vignetting, cameras, local warps."""
