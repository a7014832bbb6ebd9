"""The settings: each stands in one module, in what `nas config` prints, and in the documentation."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nas import home, settings
from nas.refusal import Refusal
from nas.settings import SETTINGS, Setting
from tests.command_line import command, nas

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PRODUCT = ("nas", "api", "workers", "search_spaces", "bench")


def test_module_command_and_documentation_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    told = [(setting.name, setting.words, setting.default or setting.otherwise) for setting in SETTINGS]
    printed = [(row["name"], row["words"], row["value"]) for row in nas("config", "--json").json["settings"]]
    section = OPERATIONS.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    documented = [(name.strip("`"), words, otherwise.strip("`")) for name, words, otherwise in rows]
    assert printed == told
    assert documented == told
    assert all(words and otherwise for _, words, otherwise in told)


def test_what_evaluations_are_given_is_told_as_well() -> None:
    assert nas("config", "--json").json["evaluators"] == settings.EVALUATORS
    for name in settings.EVALUATORS:
        assert name in OPERATIONS


def test_nobody_else_asks_the_environment() -> None:
    for path in (path for part in PRODUCT for path in (ROOT / part).rglob("*.py")):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        if path != ROOT / "nas" / "settings.py":
            assert not names & {"environ", "environb", "getenv", "putenv", "expandvars"}, path.relative_to(ROOT)


def test_every_variable_that_is_named_anywhere_is_known() -> None:
    known = {setting.name for setting in SETTINGS} | {"NAS_PORT", "NAS_SECRETS"}
    files = [ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml", "README.md")]
    files += [*(ROOT / "docs").glob("*.md"), *(path for part in PRODUCT for path in (ROOT / part).rglob("*.py"))]
    for path in files:
        assert set(re.findall(r"\bNAS_[A-Z_]+\b", path.read_text())) <= known, path.relative_to(ROOT)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_URL", "")
    assert settings.URL.value == settings.URL.default
    monkeypatch.setenv("NAS_URL", "http://elsewhere")
    assert settings.URL.value == "http://elsewhere"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("NAS_AGENT_TOKEN", "sesame", "***"),
        ("NAS_DATABASE", "postgresql://me:open:se/same@host/nas", "postgresql://me:***@host/nas"),
        ("NAS_DATABASE", "postgresql://me@host/nas", "postgresql://me@host/nas"),
        ("NAS_DATABASE", "sqlite:////state/a:b@c.db", "sqlite:////state/a:b@c.db"),
        ("HTTP_PROXY", "http://me:sesame@proxy:3128", "http://me:***@proxy:3128"),
    ],
)
def test_passwords_are_not_printed(name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    rows = {row["name"]: row for row in nas("config", "--json").json["settings"]}
    assert (rows[name]["value"], rows[name]["given"]) == (shown, True)
    assert "sesame" not in nas("config").out


def test_secrets_may_be_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent").write_text("sesame\n")
    (tmp_path / "password").write_text("open/se:s@me\n")
    monkeypatch.delenv("NAS_AGENT_TOKEN", raising=False)
    monkeypatch.setenv("NAS_AGENT_TOKEN_FILE", str(tmp_path / "agent"))
    assert settings.agent_token() == "sesame"
    monkeypatch.setenv("NAS_AGENT_TOKEN", "its own")
    assert settings.agent_token() == "its own"
    monkeypatch.setenv("NAS_AGENT_TOKEN", "its own\n")
    assert settings.agent_token() == "its own", "as a request carries it"
    monkeypatch.setenv("NAS_AGENT_TOKEN", "its öwn")
    with pytest.raises(Refusal, match=r"^NAS_AGENT_TOKEN has a character that no token has"):
        settings.agent_token()
    monkeypatch.setenv("NAS_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    for url, whole in (
        ("postgresql://me@host/nas", "postgresql://me:open%2Fse%3As%40me@host/nas"),
        ("postgresql://me:own@host/nas", "postgresql://me:own@host/nas"),
        ("sqlite:////state/a@b.db", "sqlite:////state/a@b.db"),
    ):
        monkeypatch.setenv("NAS_DATABASE", url)
        assert home.database_url() == whole
    (tmp_path / "password").write_text("\n")
    with pytest.raises(OSError, match="which NAS_DATABASE_PASSWORD_FILE names, is empty"):
        home.database_url()
    (tmp_path / "password").unlink()
    with pytest.raises(FileNotFoundError):
        home.database_url()


def test_defaults_are_put_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Setting(name="ONE", words="", default="1"), Setting(name="OTHER", words="", default="2")
    without = Setting(name="WITHOUT", words="", otherwise="nothing")
    monkeypatch.delenv("ONE", raising=False)
    monkeypatch.setenv("OTHER", "user's")
    settings.prepare(one, other, without)
    found = settings.environment(OTHER="changed")
    assert (settings.environment()["ONE"], settings.environment()["OTHER"]) == ("1", "user's")
    assert found["OTHER"] == "changed"
    assert "WITHOUT" not in found
    monkeypatch.delenv("ONE")


def test_the_workers_tell_ray_what_it_reads_when_it_is_imported() -> None:
    code = "import workers, os; print(os.environ['RAY_USAGE_STATS_ENABLED'], os.environ['RAY_DEDUP_LOGS'])"
    without = {name: value for name, value in settings.environment().items() if not name.startswith("RAY_")}
    ran = subprocess.run([sys.executable, "-c", code], env=without, cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == "0 0\n", ran.stderr


def test_a_home_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_HOME", "~no-such-user/nas")
    with pytest.raises(OSError, match="set NAS_HOME to a folder"):
        home.home()
    assert "Traceback" not in subprocess.run(command("serve", "--port", "0"), capture_output=True, text=True).stderr
