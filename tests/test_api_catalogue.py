"""What a search may name, over HTTP: spaces, searchers, devices, datasets; every answer is held against OpenAPI."""

import importlib
import inspect
import math

import pytest

from nas import plugins
from nas.boards import BOARDS
from tests.service import GREY, Service


def test_every_plugin_is_in_the_catalogue(service: Service) -> None:
    for package, kind in (
        ("search_spaces", "spaces"),
        ("nas.searchers", "searchers"),
        ("nas.devices", "devices"),
        ("nas.datasets", "datasets"),
    ):
        listed = service.get(f"/v1/{kind}")[kind]
        assert tuple(row["name"] for row in listed) == plugins.names(package)
        for row in listed:
            assert row["description"] == (importlib.import_module(f"{package}.{row['name']}").__doc__ or "").strip()


def test_a_space_shows_its_knobs_for_the_images_at_hand(service: Service) -> None:
    for name in plugins.names("search_spaces"):
        shown = service.get(f"/v1/spaces/{name}?resolution=28&channels=1&classes=10")
        knobs = plugins.load("search_spaces", name).knobs(GREY)
        assert {knob: tuple(choices) for knob, choices in shown["knobs"].items()} == dict(knobs)
        assert shown["networks"] == pytest.approx(math.prod(len(choices) for choices in knobs.values()))
        assert shown["params"][0] < shown["params"][1]


def test_searchers_show_the_options_of_their_signature(service: Service) -> None:
    rows = {row["name"]: row["options"] for row in service.get("/v1/searchers")["searchers"]}
    assert rows["evolution"] == [
        {"name": "population", "type": "int", "default": 0},
        {"name": "sample", "type": "int", "default": 0},
    ]
    for name, options in rows.items():
        signature_ = inspect.signature(plugins.load("nas.searchers", name).Searcher)
        own = [value for value in signature_.parameters.values() if value.name not in ("problem", "seed")]
        assert [(option["name"], option["default"]) for option in options] == [(p.name, p.default) for p in own]


def test_devices_say_whether_they_are_here(service: Service) -> None:
    for row in service.get("/v1/devices")["devices"]:
        assert row["problem"] == plugins.load("nas.devices", row["name"]).available()
        assert row["available"] == (row["problem"] is None)


def test_boards_say_what_a_network_has_of_them(service: Service) -> None:
    rows = {row["name"]: row for row in service.get("/v1/boards")["boards"]}
    assert [rows[board.name]["peak_memory"] for board in BOARDS] == [board.for_values for board in BOARDS]
    pico = rows["raspberry-pi-pico"]
    assert (pico["peak_memory"], pico["model_bytes"]) == (198 * 1024, 1536 * 1024)
    assert (pico["sram_bytes"], pico["flash_bytes"]) == (264 * 1024, 2048 * 1024)


def test_datasets_are_described(service: Service) -> None:
    rows = {row["name"]: row for row in service.get("/v1/datasets")["datasets"]}
    assert rows["fashion_mnist"]["info"]["train_images"] == 60_000
    assert rows["folder"]["info"] is None
    assert "folder:" in rows["folder"]["problem"]
    assert "images:" in rows["images"]["problem"]
