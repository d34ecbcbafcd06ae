"""Errors a user can act on.

Every message has three parts: what is wrong (with the value), where it came from, and what to do about it.
Only ``neuraltex/cli.py`` prints one and exits.
"""


class NeuralTexError(Exception):
    """A failure with a remedy.

    Args:
        what: What is wrong, naming the value and, where there is one, the file.
        source: Where the wrong value came from, e.g. ``"cameras.txt line 12"``; may be empty when ``what`` names it.
        hint: What the user can do, as an imperative sentence.
    """

    exit_code = 1

    def __init__(self, what: str, *, source: str = "", hint: str = "") -> None:
        self.what, self.source, self.hint = what, source, hint
        parts = [f"{source}: {what}" if source else what, hint]
        super().__init__(" ".join(f"{part.rstrip('.')}." for part in parts if part))


class UsageError(NeuralTexError):
    """The command line or a preset asks for something that does not exist; exits with 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A preset or configuration file has an unknown key or a value of the wrong type."""


class DataError(NeuralTexError):
    """An input file is missing, unreadable or contradicts another one."""


class FormatError(DataError):
    """No reader recognizes the scene, or the recognized format is broken."""


class ShapeError(NeuralTexError):
    """An array has the wrong shape; a bug in the calling code rather than in the data."""


class MissingDependency(NeuralTexError):
    """An optional package is needed; the hint holds the exact command that installs it."""


class ResumeError(NeuralTexError):
    """A checkpoint or run folder cannot be continued from."""


class OutputError(NeuralTexError):
    """An output cannot be written: read-only folder, full disk, or results that would be overwritten."""


class DivergenceError(NeuralTexError):
    """An optimization produced NaN or diverged; the last good state was saved."""
