"""The summary: totals add up, the table fits, and counts agree with other sources."""

import csv
import json
import re
from io import StringIO
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import archdsl
from archdsl import Network
from archdsl.cli import main
from archdsl.view import rows as view
from archdsl.view import summary
from archdsl.zoo import specs_folder

#: Parameters by torchvision (AlexNet, GoogLeNet with both heads, ResNet, DenseNet, VGG) or counted by hand.
PARAMS = {
    "alexnet": 61_100_840,
    "googlenet": 13_004_888,
    "resnet18": 11_689_512,
    "densenet121": 7_978_856,
    "vgg11": 132_863_336,
    "cifar_cnn": 5_852_170,
    "lenet": 61_706,
    "mlp_cat_dog": 1_574_402,
}

#: A label that no narrow column holds, at several depths.
EVERYTHING = """
block unit(n) {
  residual { conv1: conv(n, 3, padding=1, bias=false); bn1: batchnorm; relu } shortcut { downsample: conv(n, 1) }
}
model everything(classes = 10) {
  input(3x32x48)
  stem: conv(8, 3, padding=1)
  a_rather_long_label_for_one_stage: { unit(16); unit(16) }
  aux { head: { adaptive_avgpool(1); flatten; linear(classes) } }
  adaptive_avgpool(1); flatten
  linear(classes)
}
"""


def table(network: Network, width: int, *, depth: int | None = None) -> str:
    out = StringIO()
    summary.draw_summary(network, file=out, width=width, depth=depth)
    return out.getvalue()


def cells(text: str) -> list[dict[str, str]]:
    """The rows of a drawn table as dictionaries by the titles, cut where the rule below them says."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("─"))
    bounds = [match.span() for match in re.finditer("─+", lines[at])]
    end = lines.index("", at)
    titles = [lines[at - 1][a:b].strip() for a, b in bounds]
    return [dict(zip(titles, (line[a:b].strip() for a, b in bounds), strict=True)) for line in lines[at + 1 : end]]


def integer(cell: str) -> int:
    return int(cell.replace(",", "")) if cell.strip("(shared)") else 0


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("name", PARAMS)
def test_the_rows_add_up_to_the_known_count(name: str, depth: int | None, width: int) -> None:
    text = table(archdsl.load(name), width, depth=depth)
    assert sum(integer(row["params"]) for row in cells(text)) == PARAMS[name]
    assert re.search(rf"^Parameters +{PARAMS[name]:,} ", text, re.MULTILINE)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", PARAMS)
def test_nothing_is_cut_and_nothing_is_unknown(name: str, width: int) -> None:
    network = archdsl.load(name)
    text = table(network, width)
    assert max(map(len, text.splitlines())) <= width
    assert "?" not in text
    assert "..." not in text
    shown = cells(text)
    assert {layer.kind for layer in network.layers} <= {row["kind"] for row in shown}
    assert {str(layer.output) for layer in network.layers} <= {row["output"] for row in shown}


@pytest.mark.parametrize("name", ["alexnet", "cifar_cnn", "resnet18", "densenet121"])
def test_the_usual_columns_fit_80(name: str) -> None:
    usual = {"layer", "kind", "output", "params", "MACs", "memory", "field"}
    assert usual <= set(cells(table(archdsl.load(name), 80))[0])


def test_flops_are_shown_where_there_is_room() -> None:
    assert "FLOPs" not in cells(table(archdsl.load("alexnet"), 80))[0]
    assert cells(table(archdsl.load("alexnet"), 120))[1]["FLOPs"] == "140.6 M"  # 2 * 64*55*55 * 3*11*11


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_tables(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert table(archdsl.load(name), width) == snapshot


@pytest.mark.parametrize("width", [30, 45, 60])
def test_narrow_terminals_fold_names_and_keep_every_character(width: int) -> None:
    network = archdsl.load(EVERYTHING)
    text = table(network, width)
    rows = cells(text)
    assert "a_rather_long_label_for_one_stage" in "".join(row["layer"] for row in rows)
    total = sum(integer(row["params"]) for row in rows if row["params"])
    assert total == network.params


def test_the_known_size_with_buffers() -> None:
    # 22.33 times 1024*1024 bytes
    assert "23.41 MB with buffers" in table(archdsl.load("cifar_cnn"), 80)


def test_auxiliary_heads_count_parameters_only() -> None:
    """Per head of GoogLeNet, by hand: conv 1x1 + its norm, two linear layers."""
    rows = {row["layer"]: row for row in cells(table(archdsl.load("googlenet"), 80, depth=1))}
    assert integer(rows["aux1 *"]["params"]) == 512 * 128 + 2 * 128 + (2048 + 1) * 1024 + (1024 + 1) * 1000
    network = archdsl.load("googlenet")
    without = archdsl.load("googlenet", aux_logits=False)
    assert (network.macs, network.activation_bytes) == (without.macs, without.activation_bytes)
    assert "* in training only" in table(network, 80)
    assert "*" not in table(without, 80)


def test_a_scope_is_the_sum_of_its_layers() -> None:
    network = archdsl.load("resnet18")
    whole = view.rows(network)
    for depth in (1, 2):
        for row in view.rows(network, depth):
            inside = [r for r in whole if not r.header and f"{r.info.name}.".startswith(f"{row.info.name}.")]
            if not row.header:
                assert row.info.params == sum(r.info.params for r in inside)
                assert row.info.macs == sum(r.info.macs for r in inside)
                assert row.info.activation_bytes == sum(r.info.activation_bytes for r in inside)


def test_shared_layers_say_so() -> None:
    import dataclasses

    from archdsl.graph import LayerNode
    from archdsl.text.record import replace

    network = archdsl.load("model m { input(8x4x4); conv(8, 3, padding=1); relu }")
    conv = network.root.nodes[0]
    assert isinstance(conv, LayerNode)
    twice = dataclasses.replace(network, root=replace(network.root, nodes=(conv, replace(conv, shared=True))))
    assert [row["params"] for row in cells(table(twice, 80))] == ["584", "(shared)"]
    assert json.loads(summary.to_json(twice))["layers"][1]["shared"] is True


def test_columns_that_were_asked_for_stay() -> None:
    out = StringIO()
    summary.draw_summary(archdsl.load("lenet"), file=out, width=40, columns=["name", "line", "input", "trainable"])
    assert list(cells(out.getvalue())[0]) == ["layer", "line", "input", "trainable"]


def test_json_is_the_contract() -> None:
    found = json.loads(summary.to_json(archdsl.load("cifar_cnn")))
    assert list(found) == [
        "model", "input", "output", "params", "trainable_params", "macs", "flops", "param_bytes", "buffer_bytes",
        "activation_bytes", "peak_memory", "peak_at", "layers",
    ]  # fmt: skip
    assert (found["model"], found["input"], found["output"]) == ("cifar_cnn", [3, 32, 32], [10])
    assert found["params"] == found["trainable_params"] == 5_852_170
    assert found["param_bytes"] == 4 * 5_852_170
    # running mean and variance of 32, 128 and 256 channels in float32, and a 64-bit counter each
    assert found["buffer_bytes"] == 2 * 4 * (32 + 128 + 256) + 3 * 8
    assert found["flops"] == 2 * found["macs"]
    assert [list(layer) for layer in found["layers"]] == [
        ["name", "kind", "input", "output", "params", "macs", "receptive_field", "line"]
    ] * len(found["layers"])
    first = found["layers"][0]
    assert (first["kind"], first["input"], first["output"]) == ("conv", [3, 32, 32], [32, 32, 32])
    assert (first["params"], first["macs"]) == (32 * 3 * 9 + 32, 32 * 32 * 32 * 3 * 9)
    assert first["receptive_field"] == [3, 3]
    text = Path(archdsl.load("cifar_cnn").path).read_text(encoding="utf-8")
    assert "conv(" in text.splitlines()[first["line"] - 1]


def test_memory_of_a_batch() -> None:
    network = archdsl.load("cifar_cnn")
    found = json.loads(summary.to_json(network, summary.ForBatch(8, "bf16")))
    assert found["inference"] == {
        "batch": 8,
        "peak": 8 * network.peak_in_pytorch.bytes,
        "at": network.peak_in_pytorch.at,
    }
    assert found["training"] == network.training_memory(batch=8, precision="bf16")._asdict()
    lines = summary.to_markdown(network, batch=summary.ForBatch(8)).splitlines()
    assert any(line.startswith("- PyTorch training: ") and "a batch of 8 in fp32" in line for line in lines)


def test_json_of_several_outputs() -> None:
    found = json.loads(summary.to_json(archdsl.load("googlenet")))
    assert found["outputs"] == {"out": [1000], "aux1": [1000], "aux2": [1000]}
    assert sum(layer.get("aux", False) for layer in found["layers"]) > 0
    assert sum(layer["params"] for layer in found["layers"]) == 13_004_888


@pytest.mark.parametrize("depth", [None, 1])
def test_csv_adds_up(depth: int | None) -> None:
    rows = list(csv.DictReader(StringIO(summary.to_csv(archdsl.load("alexnet"), depth))))
    assert sum(int(row["params"]) for row in rows) == 61_100_840
    assert rows[0]["input"] == "3x224x224"
    assert rows[-1]["output"] == "1000"


def test_markdown_has_full_names_and_the_totals() -> None:
    text = summary.to_markdown(archdsl.load("alexnet"))
    assert "| `features.0` | conv | 64x55x55 | 23,296 | 70.28 M | 774.4 KB | 11 |" in text
    assert "- Parameters: 61,100,840 (all trainable)" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 K"),
        (714_188_480, "714.2 M"),
        (999_999, "1.00 M"),
        (4_089_184_256, "4.09 G"),
    ],
)
def test_humanised(number: int, text: str) -> None:
    assert view.humanised(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(40, "40 B"), (999, "999 B"), (1000, "1.00 KB"), (999_999, "1.00 MB"), (802_816, "802.8 KB")],
)
def test_memory(number: int, text: str) -> None:
    assert view.memory(number) == text


BROKEN = """
model m {
  input(3x8x8)
  stem: conv(4, 3)
  conv(4, 3%s
  relu
}
"""


@pytest.mark.parametrize("mistake", [", dilation=9)", " 9)"])
def test_a_spec_with_errors_has_the_table_up_to_them(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "m.arch"
    spec.write_text(BROKEN % mistake)
    assert main(["summary", str(spec)]) == 1
    shown, errors = capsys.readouterr()
    assert [row["layer"] for row in cells(shown)] == ["stem"]
    assert "4x6x6" in shown
    assert "Parameters " not in shown
    assert "error[" in errors
    assert main(["summary", str(spec), "--format", "json"]) == 1
    assert capsys.readouterr() == ("", errors)


TWO_MISTAKES = """
block unit(n, stride = 1) { residual { conv(n, 3, stride=stride, padding=1); relu } }
model m { input(3x8x8); stem: conv(4, 3); a: unit(4); b: unit(8, stride=2); flaten; head: linear(10) }
"""


def test_a_spec_with_errors_has_the_table_of_what_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "broken.arch").write_text(TWO_MISTAKES)
    assert main(["summary", str(tmp_path / "broken.arch")]) == 1
    out, err = capsys.readouterr()
    shown = {row["layer"]: row["output"] for row in cells(out)}
    assert shown == {"stem": "4x6x6", "a": "4x6x6", "b": "?", "0": "8x3x3", "1": "8x3x3"}
    assert out.rstrip().endswith("The spec has errors: these are the layers whose shapes are known.")
    assert re.findall(r"^error\[(E\d+)\]", err, re.MULTILINE) == ["E406", "E201"]
    assert main(["summary", str(tmp_path / "broken.arch"), "--format", "json"]) == 1
    assert not capsys.readouterr().out


def test_fields_that_squeezes_have_multiplied_are_named_instead_of_written() -> None:
    efficientnet, resnet = archdsl.load("efficientnet_b0"), archdsl.load("resnet18")
    fields = [cell["field"] for cell in cells(table(efficientnet, 80, depth=1))]
    assert fields[-1] == "all"
    assert max(efficientnet.layers[-1].receptive_field) > view.MOST
    assert cells(table(resnet, 80, depth=1))[-1]["field"] == str(resnet.layers[-1].receptive_field[0]) == "627"


def test_specs_of_the_zoo_are_called_by_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["summary", "lenet"]) == 0
    assert "lenet.arch of the zoo" in capsys.readouterr().out
    (tmp_path / "own.arch").write_text("model own { input(1x8x8); flatten }\n")
    assert main(["summary", "own.arch"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["own", "own.arch"]
    monkeypatch.chdir(specs_folder().parent)
    assert main(["summary", "lenet"]) == 0
    assert f"{specs_folder().name}/lenet.arch" in capsys.readouterr().out
