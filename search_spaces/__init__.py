"""Search spaces, a file each. Folders of one's own, which NAS_SPACES names, are searched behind this one."""

import os
from pathlib import Path

__path__ += [
    str(Path(folder).expanduser().resolve()) for folder in os.environ.get("NAS_SPACES", "").split(os.pathsep) if folder
]
