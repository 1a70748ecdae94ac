"""Every figure that the README states, each by the command that prints it."""
