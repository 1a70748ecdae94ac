"""Data that somebody else has to bring."""


class NotAtHand(FileNotFoundError):
    """A data set isn't on this machine, and nothing is downloaded; the message names it and says how it gets there."""
