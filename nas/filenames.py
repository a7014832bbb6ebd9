"""What people call things, as names that every file system and address takes."""

import re
import unicodedata


def plain(text: str) -> str:
    """In ASCII: letters without their accents, and a dash for whatever else is no letter, digit, dot or underscore."""
    apart = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return re.sub(r"[^A-Za-z0-9._]+", "-", "".join(each for each in apart if not unicodedata.combining(each)))
