"""The agent's program: one file of the library's modules that it needs, which any Python 3.11 runs."""

import functools
import hashlib
import io
import zipfile
from pathlib import Path

import nas

MODULES = (
    "__init__",
    "agents/__init__",
    "agents/graph",
    "agents/http",
    "agents/measuring",
    "agents/parcel",
    "agents/program",
    "alongside",
    "metering/__init__",
    "metering/host",
    "metering/meter",
    "metering/onnx",
    "metering/profile",
    "metering/quiet",
    "metering/ratio",
    "refusal",
    "settings",
)
MAIN = """\
import sys
if sys.version_info < (3, 11):
    sys.exit("the agent needs Python 3.11 or newer: this one is %d.%d" % sys.version_info[:2])
from nas.agents.program import main
sys.exit(main({edition!r}))
"""


@functools.cache
def edition() -> str:
    """What tells this version of the program from others: one that measures otherwise is not to be mixed in."""
    return hashlib.sha256(b"".join(_sources().values())).hexdigest()[:12]


@functools.cache
def agent() -> bytes:
    """A zip archive that `python3 agent.pyz` runs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in {**_sources(), "__main__.py": MAIN.format(edition=edition()).encode()}.items():
            archive.writestr(name, source)
    return file.getvalue()


def _sources() -> dict[str, bytes]:
    assert nas.__file__
    folder = Path(nas.__file__).parent
    return {f"nas/{module}.py": (folder / f"{module}.py").read_bytes() for module in MODULES}
