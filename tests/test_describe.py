"""The table of published networks, stage tables, differences and drawings, through the command line's verbs."""

import argparse
import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from api.cli import offline
from nas import arena, zoo
from nas.codec import encode
from nas.extras import NotInstalled
from nas.networks import describe, drawing
from nas.networks.counts import counts
from tests.test_architecture import EFFICIENTNET_B0
from tests.test_spaces import EXAMPLE


def nas(*words: str) -> int:
    parser = argparse.ArgumentParser()
    offline.add_arguments(parser.add_subparsers(required=True))
    return offline.run(parser.parse_args(words))


def test_the_published_table_is_csv_with_the_agreed_columns_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("published", "--csv") == 0
    text = capsys.readouterr().out
    assert text.startswith("name,params,mult_adds,input_size,")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    assert list(rows) == list(zoo.makers())
    for name, row in rows.items():
        published = zoo.published()[name]
        for counted, exact in (("params", published.exact_params), ("mult_adds", published.exact_mult_adds)):
            assert exact is None or int(row[counted]) == exact, name
    assert {row["exact"] for row in rows.values()} == {"yes", ""}
    assert rows["EfficientNet-B1"]["input_size"] == "240"
    # Keras counts the running means and variances of its two normalisations.
    assert rows["GoogLeNet (Keras, Fashion-MNIST 28x28x1, 10 classes)"]["params"] == str(5_978_042 + 2 * (64 + 192))


def test_the_published_table_shows_published_values_and_differences(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("published", "ResNet-50", "LeNet-5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "network", "parameters", "published", "off", "multiply-adds", "published", "off", "pixels", "exact",
    ]  # fmt: skip
    assert lines[1].split() == [
        "ResNet-50",
        "25,557,032",
        "25.5M",
        "+0.2%",
        "4,089,184,256",
        "3.8G",
        "+7.6%",
        "224",
        "yes",
    ]
    assert lines[2].split() == ["LeNet-5", "61,706", "60K", "+2.8%", "416,520", "32", "yes"]
    assert nas("published", "ResNet-50", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["params"], entry["exact"]) == (25_557_032, True)


def test_a_wrong_name_is_told_what_comes_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("published", "ResNet50") == 1
    assert "nas: unknown published network 'ResNet50': there are ResNet-50" in capsys.readouterr().err


def test_efficientnet_b0_is_described_as_in_the_papers_table_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("describe", "EfficientNet-B0", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    table = [
        (line["operator"].partition(",")[0], line["resolution"], line["channels"], line["layers"])
        for line in told["stages"]
    ]
    assert table == [
        ("Conv", 224, 32, 1), ("MBConv1", 112, 16, 1), ("MBConv6", 112, 24, 2), ("MBConv6", 56, 40, 2),
        ("MBConv6", 28, 80, 3), ("MBConv6", 14, 112, 3), ("MBConv6", 14, 192, 4), ("MBConv6", 7, 320, 1),
        ("Conv", 7, 1280, 1), ("Pooling & FC", 7, 1000, 1),
    ]  # fmt: skip
    assert sum(line["params"] for line in told["stages"]) == 5_288_548
    assert told["facts"]["multiply-adds"] == "385,814,752"


def test_the_arena_is_asked_of_the_runtime_where_it_is_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena, "missing", lambda: None)
    monkeypatch.setattr(arena, "measured", lambda _, images: arena.Arena(values=images.resolution, records=7))
    assert nas("describe", "LeNet-5", "--arena", "--json") == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts["arena measured"] == "32 bytes of TFLite Micro, and 7 of its own"
    monkeypatch.setattr(arena, "missing", lambda: "the arena needs tflite_micro")
    with pytest.raises(NotInstalled, match="the arena needs tflite_micro"):
        nas("describe", "LeNet-5", "--arena")


@pytest.mark.parametrize("spelled", ["choices", "architecture", "job", "file", "stdin"])
def test_a_network_is_described_however_it_is_given(
    spelled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = encode(zoo.architecture("EfficientNet-B0"))
    given: dict[str, Any] = {
        "choices": EFFICIENTNET_B0,
        "architecture": architecture,
        "job": {"job": {"architecture": architecture}},
        "file": architecture,
        "stdin": {"choices": EFFICIENTNET_B0},
    }
    text = json.dumps(given[spelled])
    (tmp_path / "network.json").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    what = {"file": str(tmp_path / "network.json"), "stdin": "-"}.get(spelled, text)
    assert nas("describe", what) == 0
    shown = capsys.readouterr().out
    assert "5,288,548" in shown
    assert "MBConv6, k5×5, SE 0.25" in shown


def test_timms_strings_are_printed_and_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("describe", "EfficientNet-B0", "--timm") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["arch_def"][1] == ["ir_r2_k3_s2_e6_c24_se0.25"]
    assert (said["stem_size"], said["num_features"], said["drop_path_rate"]) == (32, 1280, 0.2)
    assert said["bn_eps"] == 1e-3
    assert nas("describe", json.dumps(said["arch_def"])) == 0
    assert "5,288,548" in capsys.readouterr().out


def test_cells_that_follow_each_other_share_a_line() -> None:
    lines = describe.table(zoo.architecture("NASNet-A (4 @ 1056) mobile"))
    assert [(line.operator, line.layers) for line in lines if line.operator == "normal cell"] == [
        ("normal cell", 4)
    ] * 3
    assert sum(line.params for line in lines) == 5_289_978
    assert {line.latency for line in lines} == {None}
    parts = len(counts(zoo.architecture("NASNet-A (4 @ 1056) mobile")).rows)
    told = describe.table(zoo.architecture("NASNet-A (4 @ 1056) mobile"), [1 / parts] * parts)
    assert [line.latency for line in told] == [pytest.approx(line.layers / parts) for line in told]


def test_a_difference_shows_what_was_put_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = zoo.architecture("MnasNet-A1"), zoo.architecture("MnasNet-B1")
    marks = [(mark, line.operator) for mark, line in describe.difference(one, other) if isinstance(line, describe.Line)]
    assert ("-", "MBConv6, k3×3") in marks
    assert marks[0] == (" ", "Conv, k3×3")
    assert marks[2:4] == [("-", "MBConv6, k3×3"), ("+", "MBConv3, k3×3")]
    assert not [mark for mark, _ in describe.difference(one, one) if mark != " "]
    assert nas("describe", "--diff", "MnasNet-A1", "MnasNet-B1") == 0
    shown = capsys.readouterr().out
    assert "- parameters 3,887,038" in shown
    assert "+ parameters 4,383,312" in shown
    scaled = [
        line
        for mark, line in describe.difference(zoo.architecture("EfficientNet-B0"), zoo.architecture("EfficientNet-B1"))
    ]
    assert "images 240×240×3, 1,000 classes" in scaled


@pytest.mark.parametrize(
    "name", ["EfficientNet-B0", "Inception V3", "NASNet-A (4 @ 1056) mobile", "ResNet-1202 (CIFAR)"]
)
def test_a_drawing_is_svg_with_every_block_to_scale(name: str, tmp_path: Path) -> None:
    file = tmp_path / "network.svg"
    assert nas("describe", name, "--svg", str(file)) == 0
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    assert root.tag.endswith("svg")
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    slabs = [rect for rect in root.iter() if rect.tag.endswith("rect") and len(rect)]
    for rect in slabs:
        assert 0 <= float(rect.attrib["x"]) < float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width
        assert 0 <= float(rect.attrib["y"]) < float(rect.attrib["y"]) + float(rect.attrib["height"]) <= height
    assert len(slabs) >= len(counts(zoo.architecture(name)).rows)


def test_a_slabs_height_and_thickness_follow_pixels_and_channels() -> None:
    root = ElementTree.fromstring(drawing.svg(zoo.architecture("EfficientNet-B0"), "B0"))
    slabs = {rect[0].text: rect.attrib for rect in root.iter() if rect.tag.endswith("rect") and len(rect)}
    stem, head = slabs["dense 3×3 to 112×112×32"], slabs["pointwise 1×1 to 7×7×1280"]
    assert float(stem["height"]) / float(head["height"]) == pytest.approx(4, rel=0.02)  # the root of 112 / 7
    expanded, narrow = slabs["pointwise 1×1 to 112×112×96"], slabs["pointwise 1×1 to 56×56×24"]
    assert float(expanded["width"]) / float(narrow["width"]) == pytest.approx(2, rel=0.02)
    assert "depthwise 5×5 to 28×28×240" in slabs
    assert next(text.text for text in root.iter() if text.tag.endswith("text")) == "B0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "describe takes one network, or --diff and two"),
        (("EfficentNet-B0",), "unknown published network 'EfficentNet-B0': there are EfficientNet-B0"),
        (('{"stage1.op": "conv"}',), "knob 'stage1.kernel' of space 'mbconv' has no choice"),
        (("{",), "'{' is not JSON"),
        (('"B0"',), "unknown published network '\"B0\"'"),
        (('[["zz_r1"]]',), "'zz_r1' is no block that stage rows have"),
        (("ResNet-18", "--timm"), "timm's strings are for stage rows"),
        (("VGG-16 (D)", "--resolution", "16"), "part 5, 'features 5', of a network for 16 pixels"),
        (("LeNet-5", "--channels", "2"), "channels 2 is neither 1 (grey) nor 3 (colour)"),
        (("{}", "--space", "mbcnv"), "unknown search space 'mbcnv'"),
        (("LeNet-5", "--svg", "/absent/folder/network.svg"), "/absent/folder/network.svg"),
    ],
)
def test_what_cannot_be_described_is_said_in_a_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nas("describe", *words) == 1
    said = capsys.readouterr().err
    assert said.startswith("nas: ")
    assert message in said
    assert said.count("\n") == 1


def test_choices_that_a_knob_does_not_have_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert nas("describe", json.dumps(EFFICIENTNET_B0 | {"stage3.kernel": 7})) == 1
    assert "knob 'stage3.kernel' has no choice 7: there are 3, 5" in capsys.readouterr().err


def test_a_space_of_ones_own_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fire.py"
    file.write_text(EXAMPLE)
    assert nas("check-space", str(file)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "28×28×1, 10 classes: nothing is wrong",
        "32×32×3, 10 classes: nothing is wrong",
        "224×224×3, 1,000 classes: nothing is wrong",
    ]
    file.write_text(EXAMPLE.replace("classifier(images.classes)", "classifier(7)"))
    assert nas("check-space", str(file), "--resolution", "32", "--classes", "10", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert "gives 7×1×1 values, not one for each of 10 classes" in found["32×32×3, 10 classes"][0]
    file.write_text("knobs = (")
    assert nas("check-space", str(file)) == 1
    assert "fire.py cannot be imported: SyntaxError: '(' was never closed (fire.py, line 1)" in capsys.readouterr().err
    file.write_text("import no_such_module")
    assert nas("check-space", str(file)) == 1
    assert "ModuleNotFoundError: No module named 'no_such_module'" in capsys.readouterr().err
    assert nas("check-space", "absent.py") == 1
    assert "absent.py" in capsys.readouterr().err
    file.write_text("import sys\nsys.exit(3)")
    assert nas("check-space", str(file)) == 1
    assert "fire.py cannot be imported: SystemExit: 3 (fire.py:2)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fails", ["True", 'choices["group1.squeeze"] == 32 and choices["group2.modules"] == 3'], ids=["always", "rarely"]
)
def test_what_a_space_raises_is_said_once_with_its_line(
    fails: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fire.py"
    raising = f'    if {fails}:\n        raise ZeroDivisionError("rare")\n    parts = [Part('
    file.write_text(EXAMPLE.replace("    parts = [Part(", raising, 1))
    assert nas("check-space", str(file)) == 1
    (line,) = capsys.readouterr().out.splitlines()
    kinds = "28×28×1, 10 classes; 32×32×3, 10 classes; 224×224×3, 1,000 classes"
    assert line.startswith(f"{kinds}: architecture raises ZeroDivisionError: rare (fire.py:19), for {{'group1.squeeze'")


def test_a_failure_at_the_largest_choices_alone_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of which no random network has to be one."""
    file = tmp_path / "fire.py"
    fails = "    if all(choice in (3, 32, 10**6) for choice in choices.values()):\n        raise ZeroDivisionError"
    text = EXAMPLE.replace("    parts = [Part(", f"{fails}\n    parts = [Part(", 1)
    file.write_text(text.replace("(8, 16, 32)", f"(8, {', '.join(map(str, range(9, 32)))}, 32)"))
    assert nas("check-space", str(file), "--resolution", "32") == 1
    assert "architecture raises ZeroDivisionError:  (fire.py:19), for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("5", "nested(images) gives 5: give a dictionary of knobs to the choices that are left of them"),
        ("{'group1.squeeze': ()}", "nested(images) leaves knob 'group1.squeeze' without a choice: give it one"),
        ("{'group1.width': (8,)}", "nested(images) gives what does not nest: unknown knob 'group1.width'"),
        (
            "{'group1.squeeze': (8, 16)}",
            "nested(images) gives what does not nest: weights 'shared' are for networks of",
        ),
        ("{}[images]", "nested(images) raises KeyError: Images(resolution=32, channels=3, classes=10) (fire.py:28)"),
    ],
)
def test_what_a_space_says_of_shared_weights_is_checked(
    given: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fire.py"
    file.write_text(f"{EXAMPLE}\n\ndef nested(images):\n    return {given}\n")
    assert nas("check-space", str(file), "--resolution", "32", "--classes", "10") == 1
    assert words in capsys.readouterr().out


def test_cells_whose_parts_are_swapped_are_the_same_network(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("darts", "nasnet"):
        assert nas("check-space", name, "--resolution", "28") == 0, capsys.readouterr().out
