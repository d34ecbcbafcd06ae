"""Networks that complete textures: samplers move what was seen, refiners paint over it, critics judge."""
