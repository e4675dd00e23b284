"""Words: how many there are of a thing, as a sentence says it."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number and what is counted, "1 window" or "2 windows"; `many` where an s is not all."""
    return f"{count} {one if count == 1 else many or one + 's'}"
