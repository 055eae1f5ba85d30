"""Documents as the tests read them."""


def without_old_names(text: str) -> str:
    """A page without the first cells of its tables of renamed things, ``| old | new |``: they name what is gone."""
    inside, kept = False, []
    for line in text.split("\n"):
        inside = line.startswith("|") and (inside or line.startswith("| old |"))
        kept.append(line.split("|", 2)[2] if inside else line)
    return "\n".join(kept)
