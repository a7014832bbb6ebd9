"""Plug-ins of one's own: what is broken is named where it is listed and asked for, and fails nothing else."""

import importlib
import io
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas import datasets, devices, exporters, parents, plugins, sinks, spaces, zoo
from nas.datasets import DatasetError
from nas.measurements import Measurement
from nas.networks.architecture import Choice, Images
from nas.parents import UnknownParent
from nas.plans.search import SearchPlan
from nas.specs import SearchSpec
from tests.command_line import nas, unwrapped
from tests.service import SMALLEST, Service
from tests.test_spaces import EXAMPLE

IMAGES = Images(resolution=28, channels=1, classes=10)
Put = Callable[..., str]
RANDOM = """
from nas.networks.architecture import random_choices
from nas.searchers import dice


class Searcher:
    def __init__(self, problem, *, seed):
        self.knobs = problem.knobs

    def ask(self, number, pending=None, *, attempt=0):
        choices = random_choices(self.knobs, dice(0, number, attempt))
        return ANSWER

    def tell(self, choices, outcome):
        pass
"""


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Put:
    """Puts a file of one's own beside the plug-ins of a package; its name, which no other test has: of each what is
    known of its source is kept."""
    stem = "own_" + re.sub(r"\W", "_", request.node.name).lower()

    def put(package: str, text: str | bytes, name: str = stem) -> str:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_bytes(text if isinstance(text, bytes) else text.encode())
        own = importlib.import_module(package)
        if str(folder) not in own.__path__:
            monkeypatch.setattr(own, "__path__", [*own.__path__, str(folder)])
        return name

    return put


def row(service: Service, kind: str, name: str) -> Any:
    """What the list says of that one, of which all others are there."""
    rows = {row["name"]: row for row in service.get(f"/v1/{kind}")[kind]}
    package = "search_spaces" if kind == "spaces" else f"nas.{kind}"
    assert tuple(rows) == plugins.names(package)
    return rows[name]


def changed(text: str) -> str:
    """The space of the documentation, with `text` in place of what its architecture begins with."""
    return str(EXAMPLE).replace("    parts = [Part(", f"{text}\n    parts = [Part(", 1)


def test_a_file_has_the_encoding_that_it_names(service: Service, put: Put) -> None:
    text = '# -*- coding: latin-1 -*-\n"""Straße."""\n' + EXAMPLE.partition('poolings."""\n')[2]
    name = put("search_spaces", text.encode("latin-1"))
    assert row(service, "spaces", name)["description"] == "Straße."
    assert service.get(f"/v1/spaces/{name}?resolution=28")["description"] == "Straße."


@pytest.mark.parametrize("text", [b'"""Stra\xdfe."""', b"knobs = \0", b"# -*- coding: klingon -*-\n", b"knobs = ("])
def test_a_file_that_cannot_be_read_says_so_in_its_row(service: Service, put: Put, text: bytes) -> None:
    for package, kind in (("search_spaces", "spaces"), ("nas.searchers", "searchers"), ("nas.devices", "devices")):
        name = put(package, text)
        assert row(service, kind, name)["description"].startswith("cannot be imported: SyntaxError")
    assert f"search space {name!r} cannot be imported: " in service.get(f"/v1/spaces/{name}", 422)["detail"]
    for field, value in (("/space", name), ("/searcher", name), ("/devices/0", [name])):
        body = {**SMALLEST, field.split("/")[1]: value}
        assert [fault["pointer"] for fault in service.post("/v1/searches", body, 422)["errors"]] == [field]
    service.post("/v1/searches", {**SMALLEST, "searcher": "evolution"})


def test_what_a_file_imports_in_vain_is_said_in_its_row_until_it_is_mended(service: Service, put: Put) -> None:
    text = b'"""Mine."""\nimport os\nimport __main__\nfrom no_such_package import anything\n'
    for package, kind in (("search_spaces", "spaces"), ("nas.searchers", "searchers")):
        name = put(package, text)
        words = f"cannot be imported here: ModuleNotFoundError: No module named 'no_such_package' ({name}.py:4). Mine."
        assert row(service, kind, name)["description"] == words
        refused = service.post("/v1/searches", {**SMALLEST, kind.removesuffix("s"): name}, 422)["detail"]
        path = Path(plugins.file(package, name) or "")
        path.write_text('"""Mended."""\nclass Searcher:\n    def __init__(self, *, depth: int = 3) -> None: ...\n')
        assert row(service, kind, name)["description"] == "Mended."
        assert "no class Searcher" in refused or kind == "spaces"
    assert plugins.options(name)[0].name == "depth"


def test_a_link_that_leads_nowhere_is_a_row_that_says_so(service: Service, put: Put, tmp_path: Path) -> None:
    put("search_spaces", EXAMPLE)
    (tmp_path / "search_spaces" / "dangling.py").symlink_to(tmp_path / "nowhere")
    assert "its file cannot be found" in row(service, "spaces", "dangling")["description"]
    assert "search space 'dangling' cannot be imported" in service.get("/v1/spaces/dangling", 422)["detail"]


def test_a_package_that_is_no_space_says_what_it_lacks(service: Service, put: Put, tmp_path: Path) -> None:
    put("search_spaces", EXAMPLE)
    (tmp_path / "search_spaces" / "parcel").mkdir()
    (tmp_path / "search_spaces" / "parcel" / "__init__.py").write_text('"""A package."""')
    assert row(service, "spaces", "parcel")["description"] == "A package."
    assert "search space 'parcel' does not define knobs, arch" in service.get("/v1/spaces/parcel", 422)["detail"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 +", "SyntaxError"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package' ({}.py:1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 ({}.py:2)"),
        ("TAKES = DTYPES = ()\ndef latency(): ...", "does not define available: it needs TAKES, DTYPES, available"),
        (
            "TAKES = DTYPES = ()\ndef latency(): ...\ndef available():\n    return 1 / 0",
            "cannot say whether it is available: ZeroDivisionError: division by zero ({}.py:4)",
        ),
    ],
    ids=["syntax", "missing", "exits", "lacks", "raises"],
)
def test_a_broken_device_says_why_it_is_not_there(service: Service, put: Put, text: str, words: str) -> None:
    name = put("nas.devices", text)
    found = row(service, "devices", name)
    assert not found["available"]
    assert words.format(name) in found["problem"]
    (fault,) = service.post("/v1/searches", {**SMALLEST, "devices": ["cpu_eager", name]}, 422)["errors"]
    assert fault["pointer"] == "/devices/1"
    assert words.format(name) in fault["detail"]
    assert devices.absence("cpu_eager") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def load(): ...", "does not define describe: it needs describe, load"),
        (
            "def load(): ...\ndef describe(argument, cache, roots):\n    open('/no/such.csv')",
            "describe raises FileNotFoundError: [Errno 2] No such file or directory: '/no/such.csv' ({}.py:3)",
        ),
    ],
    ids=["missing", "lacks", "raises"],
)
def test_a_broken_dataset_says_why_there_is_nothing(service: Service, put: Put, text: str, words: str) -> None:
    name = put("nas.datasets", text)
    rows = {row["name"]: row for row in service.get("/v1/datasets")["datasets"]}
    assert words.format(name) in rows[name]["problem"]
    assert rows["fashion_mnist"]["info"]
    (fault,) = service.post("/v1/searches", {"dataset": name}, 422)["errors"]
    assert fault["pointer"] == "/dataset"
    assert words.format(name) in fault["detail"]


def test_a_dataset_needs_no_more_than_its_description_and_its_images(service: Service, put: Put, cache: Path) -> None:
    name = put(
        "nas.datasets",
        """
from nas.datasets import DatasetInfo

def describe(argument, cache, roots):
    info = {"channels": 1, "resolution": 28, "train_images": 9000, "test_images": 10}
    return DatasetInfo(name="plain", classes=("a", "b"), **info)

def load(argument, resolution, cache, roots): ...
""",
    )
    assert datasets.names(name, cache) == {}
    for ask in (lambda: datasets.look(name, cache), lambda: datasets.strip(name, 0, cache)):
        with pytest.raises(DatasetError, match="cannot be looked at before something is trained on it: nas/datasets/"):
            ask()
    assert "has no function look" in service.get(f"/v1/looks/{name}", 404)["detail"]
    assert "has no function samples" in service.get(f"/v1/strips/0/{name}", 404)["detail"]
    service.post("/v1/searches", {"dataset": name})
    asked = nas("search", "--dataset", name, "--auto")
    assert (asked.code, "has no function look" in asked.error) == (1, True)


KIND = """
FORM = "hub:NAME of a network of the hub"
def names(): return ()
def has(name): return name.startswith("hub:")
def described(name): raise KeyError("hub")
def load(name): ...
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("FORM = ''", "does not define names, has, described, load"),
        (KIND.replace("return ()", "return 1 / 0"), "cannot be listed: ZeroDivisionError: division by zero ({}.py:3)"),
        (
            KIND.replace("return ()", "return ('hub:a',)"),
            "'hub:a' cannot be described: KeyError: 'hub' ({}.py:5)",
        ),
        (KIND.replace("name.starts", "name.begins"), "cannot be listed: AttributeError: 'str' object has no attribute"),
    ],
    ids=["missing", "lacks", "names", "described", "has"],
)
def test_a_broken_kind_of_parents_keeps_no_others_away(service: Service, put: Put, text: str, words: str) -> None:
    before = service.get("/v1/parents")
    name = put("nas.parents", text)
    after = service.get("/v1/parents")
    assert after["parents"] == before["parents"]
    (problem,) = after["problems"]
    assert words.format(name) in problem
    assert words.format(name) in unwrapped(nas("parents").out)
    assert parents.described("efficientnet_lite0").name == "efficientnet_lite0"
    with pytest.raises(ValueError, match=r"unknown parent 'hub:a'|parent 'hub:a' cannot be described"):
        parents.described("hub:a")
    with pytest.raises(UnknownParent, match="parent 'model:f00' is known to its service alone"):
        parents.described("model:f00")


def test_kinds_of_parents_are_found_from_the_command_line(put: Put, service: Service) -> None:
    put("nas.parents", KIND)
    shown = unwrapped(nas("parents").out)
    assert " ".join(f"Or {form}" for form in parents.listing().others) in shown
    assert "Or hub:NAME of a network of the hub" in shown


EXPORTER = """
FILE, PACKAGES, AGREES = "model.own", (), 1e-3
def export(source, path): ...
def opened(path): ...
"""


def test_an_exporter_need_not_say_its_extra_nor_what_it_loses(put: Put) -> None:
    name = put("nas.exporters", EXPORTER)
    assert name in exporters.names()
    assert (exporters.load(name).LOSES, exporters.missing(name), exporters.of_file("model.own")) == (0.0, None, name)
    other = put("nas.exporters", EXPORTER.replace("()", "('no_such_package',)", 1).replace(".own", ".two"), f"{name}_2")
    assert exporters.missing(other) == f"exporter {other!r} needs no_such_package: pip install no_such_package"


@pytest.mark.parametrize("text", ["import no_such_package", "FILE = 'model.own'"])
def test_a_broken_exporter_keeps_no_other_file_back(put: Put, text: str, caplog: pytest.LogCaptureFixture) -> None:
    before = exporters.names()
    name = put("nas.exporters", text)
    assert exporters.names() == before
    assert exporters.of_file("model.onnx") == "onnx"
    assert f"exporter {name!r} " in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NETWORKS = {\n", "cannot be imported: SyntaxError"),
        (
            "import no_such_package",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_package' ({}.py:1",
        ),
        ("FAMILY = {}", "does not define NETWORKS"),
        ("NETWORKS = 5", "has no names and functions for NETWORKS: give it a dictionary"),
        ("NETWORKS = {'LeNet-6': print}", "has networks that published.csv lacks: LeNet-6"),
    ],
    ids=["syntax", "missing", "lacks", "number", "unpublished"],
)
def test_a_broken_family_of_the_zoo_keeps_no_other_away(service: Service, put: Put, text: str, words: str) -> None:
    before = service.get("/v1/published")
    name = put("nas.zoo", text)
    said = f"zoo {name!r} {words.format(name)}"
    after = service.get("/v1/published")
    assert (before["problems"], after["published"]) == ([], before["published"])
    assert after["problems"][0].startswith(said)
    service.post("/v1/searches", {**SMALLEST, "baselines": ["ResNet-20 (CIFAR)"]})
    (fault,) = service.post("/v1/searches", {**SMALLEST, "baselines": ["LeNet-6"]}, 422)["errors"]
    assert (fault["pointer"], said in fault["detail"]) == ("/baselines/0", True)
    listed = nas("published")
    assert (listed.code, "LeNet-5" in listed.out, said in listed.error) == (1, True, True)
    assert (nas("published", "LeNet-5").code, nas("published", "LeNet-5").error) == (0, "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("1 / 0", "cannot make its network: ZeroDivisionError: division by zero ({}.py:2)"),
        ("images", "made a Images: give an architecture"),
    ],
    ids=["raises", "images"],
)
def test_a_published_network_that_cannot_be_made_is_named(
    service: Service, put: Put, answer: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = put("nas.zoo", f"def made(images):\n    return {answer}\nNETWORKS = {{'LeNet-6': made}}")
    table = {**zoo.published(), "LeNet-6": zoo.published()["LeNet-5"]}
    monkeypatch.setattr(zoo, "published", lambda: table)
    said = f"zoo {name!r} {words.format(name)}"
    (fault,) = service.post("/v1/searches", {**SMALLEST, "baselines": ["LeNet-6"]}, 422)["errors"]
    assert (fault["pointer"], fault["detail"]) == ("/baselines/0", said)
    listed = nas("published", "LeNet-5", "LeNet-6")
    assert (listed.code, "LeNet-5" in listed.out, listed.error) == (1, True, f"nas: {said}\n")


SINK = "PACKAGES, EXTRA, WHERE = (), 'own', 'there'\ndef write(run, trials, where):\n    raise KeyError(where)"


def test_a_broken_sink_is_named_and_no_other_is_missing(
    service: Service, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.post("/v1/searches", SMALLEST)["id"]
    broken = put("nas.sinks", "import no_such_package", "own_sink_broken")
    lacking = put("nas.sinks", "WHERE = ''", "own_sink_lacking")
    raising = put("nas.sinks", SINK, "own_sink_raising")
    assert {broken, lacking, raising, "tensorboard"} < set(sinks.names())
    for name, words in (
        (broken, "cannot be imported: ModuleNotFoundError: No module named 'no_such_package' (own_sink_broken.py:1)"),
        (lacking, "does not define PACKAGES, EXTRA, write: it needs PACKAGES, EXTRA, WHERE, write"),
    ):
        ran = nas("export", name, run)
        assert (ran.code, ran.error) == (1, f"nas: sink {name!r} {words}\n")
    monkeypatch.setattr("sys.argv", ["nas.sinks", raising, "here"])
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"trials": []})))
    with pytest.raises(
        SystemExit, match=r"'own_sink_raising': write raises KeyError: 'here' \(own_sink_raising.py:3\)"
    ):
        runpy.run_module("nas.sinks.__main__", run_name="__main__")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("    return {}"), "architecture gives a dict: give an Architecture"),
        (changed("    raise KeyError('width')"), "architecture raises KeyError: 'width' ({}.py:18), for {{"),
        (changed("    import sys; sys.exit(3)"), "architecture raises SystemExit: 3 ({}.py:18)"),
        (EXAMPLE.replace("def architecture", "def architect"), "does not define architecture: it needs knobs, arch"),
        (EXAMPLE.replace("    return table", "    return None"), "knobs(images) gives None: give a dictionary"),
        ("import sys\nsys.exit(3)", "cannot be imported: SystemExit: 3 ({}.py:2)"),
        (f"{EXAMPLE}\ndef wirings(images): return 5", "wirings(images) gives 5: give a tuple of Wiring"),
        (f"{EXAMPLE}\ndef nested(images): return 5", "nested(images) gives 5: give a dictionary"),
        (f"{EXAMPLE}\ndef canonical(choices, images): return None", "canonical gives None: give a dictionary"),
    ],
    ids=["dict", "raises", "exits", "missing", "knobs", "import", "wirings", "nested", "canonical"],
)
def test_a_faulty_space_is_refused_in_the_words_of_its_check(service: Service, put: Put, text: str, words: str) -> None:
    name = put("search_spaces", text)
    words = words.format(name)
    assert words in service.get(f"/v1/spaces/{name}?resolution=28&channels=1&classes=10", 422)["detail"]
    for path, body in (
        ("searches", SMALLEST),
        ("forecasts", SMALLEST),
        ("proxies", SMALLEST),
        ("benchmarks", {"networks": 2, "images": {"resolution": 28, "channels": 1, "classes": 10}}),
    ):
        (fault,) = service.post(f"/v1/{path}", {**body, "space": name}, 422)["errors"]
        assert (fault["pointer"], fault["value"]) == ("/space", name)
        assert f"search space {name!r}" in fault["detail"]
        assert words in fault["detail"]


RARE = changed(
    '    if choices["group1.squeeze"] == 32 and choices["group2.modules"] == 3:\n        raise ZeroDivisionError'
)


def test_a_space_that_fails_for_few_networks_is_named_wherever_that_is_met(service: Service, put: Put) -> None:
    name = put("search_spaces", RARE)
    words = f"search space {name!r}: architecture raises ZeroDivisionError:  ({name}.py:19), for {{"
    assert words in service.get(f"/v1/spaces/{name}?resolution=28&channels=1&classes=10", 422)["detail"]
    knobs: dict[str, tuple[Choice, ...]] = {"group1.squeeze": (32,), "group2.modules": (3,)}
    plan = SearchPlan("r", SearchSpec(dataset="d", space=name, searcher="random", knobs=knobs), 3, IMAGES)
    with pytest.raises(plugins.BrokenPlugin, match=re.escape(words)):
        plan.ask(0)


def test_a_file_behind_another_space_of_its_name_is_said_not_to_be_read(
    service: Service, put: Put, tmp_path: Path
) -> None:
    put("search_spaces", EXAMPLE, "mbconv")
    said = f"{tmp_path}/search_spaces/mbconv.py is not read: there is a search space 'mbconv' before it"
    assert row(service, "spaces", "mbconv")["unread"] == list(spaces.unread("mbconv"))
    assert spaces.unread("mbconv")[0].startswith(said)
    assert service.get("/v1/spaces/mbconv")["unread"] == list(spaces.unread("mbconv"))
    assert row(service, "spaces", "darts")["unread"] == []
    assert said.replace(" ", "") in "".join(nas("spaces").out.split())
    for asked in ("mbconv", f"{tmp_path}/search_spaces/mbconv.py"):
        checked = nas("check-space", asked, "--resolution", "28", "--channels", "1", "--classes", "10")
        assert (checked.code, said in checked.out) == (1, True)
    assert nas("check-space", "efficientnetv2", "--resolution", "28").code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "import no_such_package\nclass Searcher: ...",
            "cannot be imported: ModuleNotFoundError: No module named 'no_",
        ),
        ("import torch, no_such_package\nclass Searcher: ...", "cannot be imported: ModuleNotFoundError"),
        ("Finder = None", "has no class Searcher: give it one with ask and tell"),
        ("import sys\nclass Searcher: ...\nsys.exit(3)", "cannot be imported: SystemExit: 3 ({}.py:3)"),
        ("class Searcher:\n    def __init__(self, problem, *, seed): ...", "does not define ask, tell"),
        (
            "class Searcher:\n    def __init__(self, problem, *, seed):\n        None + 1",
            "raises TypeError: unsupported operand type(s) for +: 'NoneType' and 'int' ({}.py:3)",
        ),
    ],
    ids=["missing", "heavy", "none", "exits", "lacks", "raises"],
)
def test_a_searcher_that_cannot_be_made_is_refused(service: Service, put: Put, text: str, words: str) -> None:
    name = put("nas.searchers", text)
    for path in ("searches", "forecasts"):
        (fault,) = service.post(f"/v1/{path}", {**SMALLEST, "searcher": name}, 422)["errors"]
        assert fault["pointer"] == "/searcher"
        assert fault["detail"].startswith(f"searcher {name!r} {words.format(name)}")
    (refused,) = service.post("/v1/searches", {**SMALLEST, "least_gain": 0.1, "searcher": "random"}, 422)["errors"]
    assert refused["pointer"] == "/least_gain"  # whose words name the searchers that can


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("choices | {'group1.squeeze': 99}", "gave group1.squeeze=99 for trial 0: the search leaves it 8"),
        ("choices | {'group1.squeeze': 16}", "gave group1.squeeze=16 for trial 0: the search leaves it 8"),
        ("{'group1.squeeze': 8}", "gave no choice for trial 0 of group1.modules, group2.squeeze, group2.modules"),
        ("choices | {'group9': 8}", "gave a choice for trial 0 of knob 'group9': there are group1.squeeze, group1.mod"),
        ("[8]", "gave [8] for trial 0: ask gives a dictionary with a choice for each knob, or None"),
        ("choices['nope']", "raises KeyError: 'nope' ({}.py:12)"),
    ],
    ids=["unknown", "narrowed", "left out", "another", "list", "raises"],
)
def test_a_searcher_is_held_to_the_knobs_and_named(put: Put, answer: str, words: str) -> None:
    space = put("search_spaces", EXAMPLE)
    name = put("nas.searchers", RANDOM.replace("ANSWER", answer))
    spec = SearchSpec(dataset="d", space=space, searcher=name, knobs={"group1.squeeze": (8,)})
    with pytest.raises(plugins.BrokenPlugin, match=re.escape(f"searcher {name!r} {words.format(name)}")):
        SearchPlan("r", spec, 3, IMAGES).ask(0)


def test_a_searchers_choices_are_those_of_the_knobs_and_its_hearing_is_its_own_affair(put: Put) -> None:
    space = put("search_spaces", EXAMPLE)
    text = RANDOM.replace("ANSWER", "choices | {'group1.squeeze': 8.0}").replace("        pass", "        return 1 / 0")
    name = put("nas.searchers", text)
    plan = SearchPlan("r", SearchSpec(dataset="d", space=space, searcher=name), 3, IMAGES)
    job = plan.ask(0)
    assert job is not None
    assert type(job.choices["group1.squeeze"]) is int
    with pytest.raises(plugins.BrokenPlugin, match=rf"searcher {name!r} raises ZeroDivisionError: .*\({name}.py:15\)"):
        plan.tell(job, Measurement(params=1, mult_adds=1, accuracy=0.5))


def test_one_space_is_shown_by_its_name(service: Service) -> None:
    shown = nas("spaces", "darts")
    assert shown.out.splitlines()[0] == "darts"
    assert "nas spaces darts --dataset NAME shows its knobs" in shown.out
    assert "mbconv" not in shown.out
    assert nas("spaces", "darts", "--json").json["name"] == "darts"
    unknown = nas("spaces", "dart")
    assert (unknown.code, unknown.out) == (1, "")
    assert "unknown search space 'dart': there are darts, efficientnetv2" in unknown.error
    assert "for images of 28 pixels" in nas("spaces", "--dataset", "fashion_mnist").out
