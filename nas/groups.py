"""Which images belong together: those whose file names begin alike, as ten photographs of one animal do.

Held out apart, an image is recognised by its neighbours that were trained on, and accuracies are too good to be true.
"""

from collections.abc import Mapping

from nas.refusal import Refusal, shortened

LONGEST = 40  # characters of a name that are repeated


def group(name: str, separator: str) -> str:
    """What stands before the first `separator` in the name of a file, without its folders: all of it where that has
    none."""
    return name.rpartition("/")[2].partition(separator)[0]


def require(classes: Mapping[str, str], separator: str, folds: int) -> None:
    """Raise Refusal unless these images, the class of each by its file's name, can be held out in so many folds of
    whole groups."""
    if not classes:
        raise Refusal(
            "these images have no file names that could say which belong together: leave it out", field="group"
        )
    members: dict[str, list[str]] = {}
    within: dict[str, set[str]] = {}
    for name, own in classes.items():
        members.setdefault(group(name, separator), []).append(name)
        within.setdefault(own, set()).add(group(name, separator))
    if len(members) == len(classes):
        raise Refusal(
            f"group {separator!r} puts no two of {len(classes):,} images together: give text that their names have "
            "behind what they share, or leave it out",
            field="group",
        )
    if len(members) < folds:
        counted = [f"{_told(key)} with {len(members[key]):,}" for key in sorted(members)[:3]]
        raise Refusal(
            f"group {separator!r} makes {len(members)} of {len(classes):,} images, {', '.join(counted)}, and {folds} "
            "folds need as many at least: give text that comes later in the names, or fewer folds",
            field="group",
        )
    for own, keys in sorted(within.items()):
        if len(keys) == 1:
            raise Refusal(
                f"group {separator!r} puts all images of class {own!r} into {_told(*keys)}, and while that is held out "
                "nothing teaches the class: give text that comes later in the names",
                field="group",
            )


def _told(key: str) -> str:
    return repr(shortened(key, LONGEST))
