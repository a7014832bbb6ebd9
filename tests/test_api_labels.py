"""What is written on runs after they were submitted: over HTTP, by the client and by the command line."""

from nas.client import Client
from tests.command_line import nas
from tests.service import UNKNOWN, Service


def test_a_run_is_renamed_annotated_tagged_and_put_away(service: Service, client: Client) -> None:
    run = service.search([(0.8, 1_000_000)], name="as submitted").id
    before = service.get(f"/v1/searches/{run}")
    assert (before["name"], before["note"], before["tags"], before["archived"]) == ("as submitted", "", [], False)
    client.edit(run, name="roses", tags=["paper", "100 %"])
    found = client.edit(run, note="the second\nof two", archived=True)
    assert (found["name"], found["note"], found["tags"], found["archived"]) == (
        *("roses", "the second\nof two", ["paper", "100 %"], True),
    )
    assert found["spec"]["name"] == "as submitted"
    assert client.edit(run, name="")["name"] == "as submitted"
    told = [event["text"] for event in client.events(run) if event["kind"] == "label"]
    assert told == ["renamed to roses, tagged paper, 100 %", "note changed, archived", "named as submitted"]


def test_lists_are_of_those_with_a_tag_or_put_away(service: Service, client: Client) -> None:
    one, two, three = (service.search([(0.8, 1_000_000)], name=name).id for name in ("one", "two", "red"))
    client.edit(one, tags=["red", "blue_1"])
    client.edit(two, tags=["blue11"], note='"tags":["red"]', archived=True)
    client.edit(three, name="red")
    listed = {tag: [run["id"] for run in client.runs(tag=tag)] for tag in ("red", "RED", "blue_1", "blue", "%")}
    assert listed == {"red": [one], "RED": [one], "blue_1": [one], "blue": [], "%": []}
    assert two not in [run["id"] for run in client.runs(archived=False)]
    client.edit(one, archived=True)
    page = service.get("/v1/runs?limit=1&archived=true")
    assert [run["id"] for run in page["runs"]] == [two]
    assert [run["id"] for run in service.get(page["next"])["runs"]] == [one]


def test_what_cannot_be_written_is_refused(service: Service) -> None:
    run = service.search([]).id
    for body, pointer in (
        ({"name": "a\nb"}, "/name"),
        ({"note": "a\x00b"}, "/note"),
        ({"tags": ["a,b"]}, "/tags"),
        ({"tags": ["a", "a"]}, "/tags"),
        ({}, "/name"),
    ):
        problem = service.ask("PATCH", f"/v1/runs/{run}", 422, json=body)
        assert problem["errors"][0]["pointer"].startswith(pointer), problem
    service.ask("PATCH", f"/v1/runs/{UNKNOWN}", 404, json={"archived": True})


def test_the_command_line_edits_and_lists(service: Service) -> None:
    run = service.search([(0.8, 1_000_000)], name="plain").id
    assert nas("edit", run, "--name", "mine", "--tag", "a", "--tag", "b").out == f"Run {run}: mine, a, b\n"
    assert nas("edit", run, "--untag", "a", "--note", "so", "--archive").out == f"Run {run}: mine, b, archived\nso\n"
    assert run not in nas("list").out
    assert run in nas("list", "--archived", "--tag", "b").out
    assert nas("edit", run, "--unarchive", "--json").json["archived"] is False
    both = nas("edit", run, "--archive", "--unarchive")
    assert (both.code, "not allowed with argument" in both.error) == (2, True)
    assert run in nas("list").out
