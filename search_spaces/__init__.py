"""Search spaces, a file each. Folders of one's own, which NAS_SPACES names, are searched behind this one."""

import os
from pathlib import Path

from nas import settings

__path__ += [
    str(Path(os.path.expanduser(folder)).resolve()) for folder in settings.SPACES.value.split(os.pathsep) if folder
]
