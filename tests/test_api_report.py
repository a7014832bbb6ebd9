"""A run as one HTML file."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import httpx
import pytest

from api.report.chart import Axis, Dot, Series, chart
from nas.networks.counts import counts
from tests.command_line import nas
from tests.service import OWNER, POINTS, Service

ELSEWHERE = r"""(src|href|action)\s*=|url\(|@import|<script|https?://"""


def written(service: Service, run: str) -> httpx.Response:
    response = service.http.get(f"/v1/runs/{run}/report")
    assert response.status_code == 200, response.text
    return response


def pictures(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def test_a_search_is_a_file_that_needs_no_other(service: Service) -> None:
    run = service.search(POINTS, error=0.01, name="<script>alert(1)</script>", trials=4)
    service.store.claims.release(run.id, OWNER, "finished")
    response = written(service, run.id)
    html = response.text
    assert response.headers["content-type"].startswith("text/html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not re.search(ELSEWHERE, html)
    assert service.get(f"/v1/searches/{run.id}")["verdict"] in html
    front, grown = pictures(html)
    assert len(front.findall(".//circle")) == 3  # of four networks one is beaten
    assert len(front.findall(".//path[@class='bar']")) == 3
    assert len(grown.findall(".//circle")) == 4
    assert re.search(r"<td>3( ★)?</td><td>95.00 ± 1.00 %</td><td>16.0 M</td>", html)
    assert "<dt>trials</dt><dd>4</dd>" in html
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["content-security-policy"]


def test_a_family_is_drawn_with_its_errors_and_the_front_that_it_is_from(service: Service, tmp_path: Path) -> None:
    search = service.search(POINTS, error=0.01)
    growth = service.growth(search, tested=(0.97, 0.95))
    html = written(service, growth.id).text
    (family,) = pictures(html)
    assert len(family.findall(".//g[@class='family']/circle")) == 2
    assert len(family.findall(".//g[@class='family']/path[@class='bar']")) == 2
    assert len(family.findall(".//g[@class='behind']/circle")) == 3
    assert "family, on test images" in html
    assert "front of the search, on validation images" in html
    assert "<td>97.00 ± 0.20 %</td>" in html
    file = tmp_path / "family.html"
    assert nas("report", growth.id, "--out", str(file)).out == f"The report of run {growth.id} is in {file}\n"
    assert "<h2>The family</h2>" in file.read_text()


def test_a_latency_of_a_member_that_is_known_roughly_says_so(service: Service) -> None:
    growth = service.growth(service.search(POINTS), error_ms=0.2)
    assert [row["latency_errors_ms"] for row in service.get(f"/v1/growths/{growth.id}")["family"]] == [{"cpu": 0.2}] * 2
    assert written(service, growth.id).text.count("<td>0.500 ms ± 40.0% noisy</td>") == 2
    shown = nas("show", growth.id).out
    assert (shown.count("~0.500 ms"), shown.count("~ a latency that is noisy")) == (2, 1)


def test_what_has_measured_nothing_says_so(service: Service) -> None:
    html = written(service, service.search([], running=1).id).text
    assert "Nothing was measured." in html
    assert not pictures(html)


@pytest.mark.parametrize("high", [2.0, 2000.0])
def test_all_points_and_ticks_of_a_chart_lie_within_it(high: float) -> None:
    dots = tuple(Dot(x=x, y=y, error=0.1) for x, y in ((1.0, 0.2), (high, 0.9)))
    axis = Axis(title="a", show=lambda value: f"{value:.12g}", spread=True)
    picture = chart([Series(name="b", style="front", dots=dots, line="front")], axis, axis, "c")
    (root,) = pictures(picture)
    places = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in root.iter("circle")]
    assert places[0][0] < places[1][0]
    assert places[0][1] > places[1][1]
    assert all(76 <= x <= 740 and 16 <= y <= 332 for x, y in places)
    words = [each.text for each in root.iter("text")]
    assert {"0.2", "0.4", "0.6", "0.8"} <= set(words)
    assert ("1000" in words) == (high > 1000)


def test_a_trial_is_known_stage_by_stage_and_as_a_picture(service: Service) -> None:
    run = service.search([], running=1).id
    counted = counts(service.store.trial(run, 0).job.architecture)
    told = service.get(f"/v1/runs/{run}/trials/0/stages")
    stages = told["stages"]
    assert (told["device"], stages[0]["latency"]) == (None, None)
    assert sum(stage["params"] for stage in stages) == counted.params
    assert sum(stage["mult_adds"] for stage in stages) == counted.mult_adds
    drawing = service.http.get(f"/v1/runs/{run}/trials/0/drawing")
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in drawing.headers["content-security-policy"]
    ElementTree.fromstring(drawing.text)
    assert "no trial 7" in service.get(f"/v1/runs/{run}/trials/7/stages", status=404)["detail"]
