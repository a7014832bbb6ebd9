"""Every variable of the environment that the programs read or set: nobody else asks the environment for anything.

`nas config` prints them, and docs/operations.md lists them.
"""

import os
import re
from dataclasses import dataclass

from nas.refusal import Refusal, one_line


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One variable. Where it is not set its `default` holds, or else what `otherwise` says."""

    name: str
    words: str
    otherwise: str = ""
    default: str = ""
    secret: bool = False

    @property
    def given(self) -> str | None:
        """What the environment has, which may be an empty text."""
        return os.environ.get(self.name)

    @property
    def value(self) -> str:
        """What it is set to, else its default, else nothing; an empty one counts as not set."""
        return self.given or self.default

    @property
    def number(self) -> int:
        """What is set, where that is a whole number from 1 on. Raises Refusal."""
        if not re.fullmatch(r"[1-9]\d{0,17}", self.value):
            raise Refusal(f"{self.name} {self.value!r} is not a whole number from 1 on: give one like {self.default}")
        return int(self.value)

    @property
    def money(self) -> tuple[float, str] | None:
        """An amount and its currency; None where nothing is set. Raises Refusal."""
        if not self.value:
            return None
        amount, _, currency = self.value.strip().partition(" ")
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", amount) or not one_line(currency) or len(currency) > 10:
            raise Refusal(f"{self.name} {self.value!r} is no amount of money: give one like 0.60 EUR")
        return float(amount), currency.strip()

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries of a list."""
        return tuple(self.value.replace(",", " ").split())

    @property
    def contents(self) -> str:
        """What is in the file that it names, without the end of its line; nothing where it names none. Raises
        OSError."""
        if not self.value:
            return ""
        with open(self.value, encoding="utf-8") as file:
            text = file.read(1000).strip()
        if not text:
            raise OSError(f"{self.value}, which {self.name} names, is empty")
        return text

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of a list of them."""
        return tuple(filter(None, self.value.split(os.pathsep)))

    @property
    def shown(self) -> str:
        """Its value for people to read, without passwords."""
        if self.secret and self.value:
            return "***"
        return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", self.value) or self.otherwise


HOME = Setting(
    name="NAS_HOME",
    words="the folder of the database, datasets, checkpoints and unfinished trainings",
    otherwise="nas in XDG_DATA_HOME",
)
DATA_HOME = Setting(name="XDG_DATA_HOME", words="the user's data folder", otherwise="~/.local/share")
DATABASE = Setting(
    name="NAS_DATABASE",
    words="sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME",
    otherwise="nas.db in NAS_HOME",
)
DATABASE_PASSWORD_FILE = Setting(
    name="NAS_DATABASE_PASSWORD_FILE", words="a file with the password of NAS_DATABASE", otherwise="it has its own"
)
URL = Setting(
    name="NAS_URL",
    words="where the service is, for the command line, the client and evaluators that measure on remote devices",
    default="http://127.0.0.1:8000",
)
TOKEN = Setting(
    name="NAS_TOKEN", words="the token of the command line and the client", otherwise="see NAS_TOKEN_FILE", secret=True
)
TOKEN_FILE = Setting(
    name="NAS_TOKEN_FILE",
    words="a file with that token, which nobody else may read",
    otherwise="token in NAS_HOME, for a service on this machine",
)
AGENT_TOKEN = Setting(
    name="NAS_AGENT_TOKEN",
    words="what evaluators and agents send the service: a secret that it has as well, or a token for them",
    otherwise="drawn at random for the evaluators of one machine",
    secret=True,
)
AGENT_TOKEN_FILE = Setting(
    name="NAS_AGENT_TOKEN_FILE", words="a file with what NAS_AGENT_TOKEN would be", otherwise="see NAS_AGENT_TOKEN"
)
HOSTS = Setting(
    name="NAS_HOSTS", words='names under which the service is reached, "," between them', otherwise="this machine's"
)
FORWARDED_BY = Setting(
    name="NAS_PROXIES",
    words='addresses or networks whose forwarded headers the service believes, "," between them',
    otherwise="nobody's",
)
PREFIX = Setting(
    name="NAS_PREFIX", words="the path that the service has at a proxy, such as /nas", otherwise="it is at the root"
)
IMAGES = Setting(
    name="NAS_IMAGES",
    words='folders that the service and its workers read images from, ":" between them; nas serve --images names more',
    otherwise="none: only what is uploaded",
)
MOST_UPLOADED = Setting(
    name="NAS_MOST_UPLOADED", words="bytes of uploaded images in all, kept in NAS_HOME/images", default="20000000000"
)
LARGEST_UPLOAD = Setting(name="NAS_LARGEST_UPLOAD", words="bytes of one upload", default="10000000000")
MOST_ARCHIVED = Setting(
    name="NAS_MOST_ARCHIVED",
    words="bytes of the files that models are handed out as, kept in NAS_HOME/archives; what was used last stays",
    default="10000000000",
)
RUNS_AT_ONCE = Setting(
    name="NAS_RUNS_AT_ONCE", words="runs that a coordinator drives side by side; the others wait", default="8"
)
MOST_MODELS = Setting(
    name="NAS_MOST_MODELS",
    words="models of a search whose weights are kept when it has ended: the best, the newest and what is pinned",
    default="10",
)
MOST_KEPT = Setting(
    name="NAS_MOST_KEPT",
    words="bytes of models' weights in all, kept in NAS_HOME/artifacts; the worst of the oldest searches go first",
    default="50000000000",
)
PRICE = Setting(
    name="NAS_PRICE",
    words="what an hour of a processor or GPU costs, with its currency, such as 0.60 EUR: forecasts tell the money",
    otherwise="not known",
)
SPACES = Setting(
    name="NAS_SPACES",
    words='folders of search spaces of your own, ":" between them',
    otherwise="those that come with it",
)
FASHION_MNIST = Setting(
    name="NAS_FASHION_MNIST", words="a folder with the four files of Fashion-MNIST", otherwise="they are fetched"
)
LOG_LEVEL = Setting(
    name="NAS_LOG_LEVEL",
    words="debug, info, warning or error; the service logs every request at info",
    otherwise="warning for the service, info for coordinator and evaluators",
)
LOG_FORMAT = Setting(name="NAS_LOG_FORMAT", words="text, or json: an object a line", default="text")
BUILD = Setting(
    name="NAS_BUILD",
    words="the commit of an image that has no checkout",
    otherwise="what a checkout has, else none",
)
RAY_ADDRESS = Setting(
    name="RAY_ADDRESS", words="the Ray cluster that the coordinator joins", otherwise="it starts one of its own"
)
THREADS = Setting(name="OMP_NUM_THREADS", words="threads of the coordinator's own arithmetic", default="1")
COMPILER = Setting(name="CXX", words="the compiler that device cpu_compile needs", default="g++")
GPUS = Setting(name="CUDA_VISIBLE_DEVICES", words="the GPUs that may be used", otherwise="all")
WIDTH = Setting(
    name="COLUMNS", words="the width of what the command line prints", otherwise="the terminal's; 200 into a pipe"
)
TEMPORARY = Setting(
    name="TMPDIR",
    words="where Ray keeps its files, and where measurements and trainings agree on turns",
    otherwise="/tmp",
)
PROXIES = (
    Setting(name="HTTP_PROXY", words="the proxy of http: addresses; none is asked for this machine", otherwise="none"),
    Setting(name="HTTPS_PROXY", words="the proxy of https: addresses", otherwise="none"),
    Setting(name="ALL_PROXY", words="the proxy of all others", otherwise="none"),
    Setting(name="NO_PROXY", words='hosts that are asked without one, "," between them', otherwise="none"),
)
RAY_TOKEN = Setting(
    name="RAY_AUTH_TOKEN", words="what processes of one Ray cluster know", otherwise="drawn at random", secret=True
)
RAY_TOKEN_FILE = Setting(name="RAY_AUTH_TOKEN_PATH", words="a file with that token", otherwise="none")
RAY = (
    Setting(name="RAY_USAGE_STATS_ENABLED", words="whether Ray reports its use to its makers", default="0"),
    Setting(name="RAY_AUTH_MODE", words="token: a Ray cluster takes nobody without its token", default="token"),
    RAY_TOKEN,
    RAY_TOKEN_FILE,
    Setting(
        name="RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        words="0: Ray on one machine listens at loopback, not at every address; Ray's name for it, on Linux too",
        default="0",
    ),
    Setting(
        name="RAY_gcs_rpc_server_reconnect_timeout_s",
        words="for how long Ray's processes look for a head that has died",
        default="8",
    ),
    Setting(
        name="RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES",
        words="what Ray's store of images takes of the memory, beside 30 % of what is free, at most",
        default=str(2**31),
    ),
    Setting(
        name="RAY_task_events_report_interval_ms",
        words="how often Ray's processes tell its head what has run, for tools of Ray's own; 0: never, or it grows",
        default="0",
    ),
    Setting(name="RAY_ENABLE_AUTO_CONNECT", words="1: a thread that comes too late starts Ray again", default="0"),
    Setting(
        name="RAY_ENABLE_UV_RUN_RUNTIME_ENV", words="1: under `uv run` Ray packs and sends the folder", default="0"
    ),
    Setting(
        name="RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", words="0: Ray's next default, about which it warns", default="0"
    ),
    Setting(name="RAY_COLOR_PREFIX", words="0: no colours in what Ray's processes print", default="0"),
    Setting(name="RAY_DEDUP_LOGS", words="0: lines that several processes print alike are all logged", default="0"),
)
SETTINGS = (
    HOME,
    DATA_HOME,
    DATABASE,
    DATABASE_PASSWORD_FILE,
    URL,
    TOKEN,
    TOKEN_FILE,
    AGENT_TOKEN,
    AGENT_TOKEN_FILE,
    HOSTS,
    FORWARDED_BY,
    PREFIX,
    IMAGES,
    MOST_UPLOADED,
    LARGEST_UPLOAD,
    MOST_ARCHIVED,
    RUNS_AT_ONCE,
    MOST_MODELS,
    MOST_KEPT,
    PRICE,
    SPACES,
    FASHION_MNIST,
    LOG_LEVEL,
    LOG_FORMAT,
    BUILD,
    RAY_ADDRESS,
    THREADS,
    COMPILER,
    GPUS,
    WIDTH,
    TEMPORARY,
    *PROXIES,
    *RAY,
)

NUMBERS = (MOST_UPLOADED, LARGEST_UPLOAD, MOST_ARCHIVED, RUNS_AT_ONCE, MOST_MODELS, MOST_KEPT)

# What an evaluation's process has in its environment from its start. One thread, as whoever starts evaluations starts
# one for each processor. Training on a CPU frees and takes the same megabytes every step: left alone, glibc gives them
# back to the kernel each time and faults them in again. With these it keeps them, and a network of depthwise
# convolutions trains 1.7 times as fast; they cost up to 256 MB of address space and slack per process.
EVALUATORS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}


def check() -> None:
    """Raise Refusal for a number or an amount that is none."""
    for setting in NUMBERS:
        int(setting.number)
    _ = PRICE.money


def agent_token() -> str:
    """NAS_AGENT_TOKEN, else what is in NAS_AGENT_TOKEN_FILE, else nothing. Raises OSError, Refusal."""
    given = sendable(AGENT_TOKEN.value, AGENT_TOKEN.name)
    return given or sendable(AGENT_TOKEN_FILE.contents, AGENT_TOKEN_FILE.name)


def sendable(token: str, source: str) -> str:
    """A token without what surrounds it. Raises Refusal, which does not show it, where no request can carry it."""
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise Refusal(f"{source} has a character that no token has, or several lines: copy the token once more")
    return token


def prepare(*settings: Setting) -> None:
    """Put the defaults of `settings` into this process's environment where they are not set, for libraries that read
    them when they are imported, and for processes that this one starts."""
    for setting in settings:
        if setting.default:
            os.environ.setdefault(setting.name, setting.default)


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, for a process that it starts."""
    return {**os.environ, **changes}
