"""What people write on a run after it was submitted: another name, a note, tags, and that it is put away."""

from dataclasses import dataclass

from nas.refusal import Refusal, distinct, one_line, shown

LONGEST_NAME = 200
LONGEST_NOTE = 10_000
LONGEST_TAG = 50
MOST_TAGS = 20


@dataclass(frozen=True, kw_only=True)
class Label:
    """What is written on a run."""

    name: str = ""
    """What it is called; empty: as it was submitted."""
    note: str = ""
    """What is to be remembered of it."""
    tags: tuple[str, ...] = ()
    """Words that it is found again by."""
    archived: bool = False
    """Whether it is put away: lists may leave it out."""

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME or not one_line(self.name):
            detail = f"name {shown(self.name, 40)} is no line of up to {LONGEST_NAME} characters"
            raise Refusal(detail, field="name")
        if len(self.note) > LONGEST_NOTE or not all(map(one_line, self.note.splitlines())):
            detail = f"note {shown(self.note, 40)} is no text of up to {LONGEST_NOTE:,} characters"
            raise Refusal(detail, field="note")
        distinct(self, "tags", most=MOST_TAGS)
        for tag in self.tags:
            if not tag.strip() or len(tag) > LONGEST_TAG or not one_line(tag) or "," in tag:
                detail = f"tag {shown(tag, 40)} is no word of 1 to {LONGEST_TAG} characters without a comma"
                raise Refusal(detail, field="tags")

    def changes(self, before: "Label") -> str:
        """In words, since it was `before`."""
        parts = [f"renamed to {self.name}" if self.name else "named as submitted"] if self.name != before.name else []
        parts += ["note changed"] if self.note != before.note else []
        added = [tag for tag in self.tags if tag not in before.tags]
        gone = [tag for tag in before.tags if tag not in self.tags]
        parts += [f"tagged {', '.join(added)}"] if added else []
        parts += [f"no longer tagged {', '.join(gone)}"] if gone else []
        if self.archived != before.archived:
            parts.append("archived" if self.archived else "taken out of the archive")
        return ", ".join(parts)
