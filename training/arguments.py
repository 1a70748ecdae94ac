"""What the commands' arguments have in common."""

import argparse
from collections.abc import Callable


def at_least(lowest: int) -> Callable[[str], int]:
    """Reads an argument that is a whole number from `lowest` on."""

    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            message = f"{text!r}: give a whole number"
            raise argparse.ArgumentTypeError(message) from None
        if number < lowest:
            message = f"{number} is too few: give {lowest} or more"
            raise argparse.ArgumentTypeError(message)
        return number

    return whole_number
