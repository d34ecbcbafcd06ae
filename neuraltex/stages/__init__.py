"""One module per verb: a ``Config`` dataclass (field docstring = help text) and ``run(config) -> Result``."""
