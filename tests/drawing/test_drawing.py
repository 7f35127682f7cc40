"""Drawings: shapes, text widths, themes, and the files in each format."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archdsl.diagnostics import SpecError
from archdsl.drawing import Box, Circle, Curve, Group, Line, Polygon, Scene, Style, Text, text_width, write_drawing
from archdsl.drawing.paths import Extent, extent, path, with_heads
from archdsl.drawing.svg import svg_text
from archdsl.drawing.themes import FAMILIES, contrast, palette, rgb
from archdsl.drawing.tikz import ESCAPES, tikz_text
from archdsl.drawing.widths import RANGES, SAVED, wrapped

SVG = "{http://www.w3.org/2000/svg}"
STYLE = Style(fill="conv", stroke="conv-edge", width=1.5)
SCENE = Scene(
    320,
    160,
    [
        Group(
            [Box(0, 0, 100, 40, STYLE, radius=5), Text(50, 24, "3×3 conv, <64> & 50%", 11, "middle")], 20, 20, id="a"
        ),
        Group(
            [Group([Circle(5, 5, 5, Style(fill="join"))], 1, 2)], 10, 20, data={"scope": 'layer1."0"'}, title="a & b"
        ),
        Line([(120, 40), (200, 40), (200, 90)], Style(stroke="line"), arrow=True, corner=6),
        Curve([(20, 100), (60, 150), (120, 150), (160, 100)], Style(stroke="accent", dashed=True), arrow=True),
        Polygon([(220, 60), (260, 50), (260, 100)], Style(fill="pool-dark", opacity=0.5)),
        Text(250, 140, "snake_case {α} ⊕ …", bold=True, angle=30),
    ],
    "a <title>",
    "what it shows",
)


# Shapes


def test_shapes_of_groups_are_where_they_are_drawn() -> None:
    box, words, circle, *_ = SCENE.shapes
    assert isinstance(words, Text)
    assert extent(box) == (20, 20, 120, 60)
    assert (words.x, words.y) == (70, 44)
    assert extent(circle) == (11, 22, 21, 32)


def test_the_arrow_head_ends_where_the_line_does() -> None:
    line = Line([(0, 0), (0, 50), (80, 50), (80, 50)], Style(stroke="line"), arrow=True)
    shaft, head = with_heads(line)
    assert isinstance(shaft, Line)
    assert isinstance(head, Polygon)
    assert list(head.points[0]) == [80, 50]
    assert head.style.fill == "line"
    [(x, y), before] = shaft.points[-1], shaft.points[-3]
    assert 70 < x < 80
    assert y == before[1] == 50
    assert {y > 50 for _, y in head.points[1:]} == {True, False}


def test_a_rounded_line_stays_near_its_corners() -> None:
    line = Line([(0, 0), (10, 0), (10, 3), (30, 3)], Style(stroke="line"), corner=8)
    points = [one.points[-1] for one in path(line)]
    assert points == [(0, 0), (5, 0), (10, 1.5), (10, 1.5), (18, 3), (30, 3)]


def test_the_extent_of_a_text_depends_on_its_anchor_and_angle() -> None:
    width = text_width("width", 10)
    assert extent(Text(50, 20, "width", 10)).right == pytest.approx(50 + width)
    assert extent(Text(50, 20, "width", 10, "end")).left == pytest.approx(50 - width)
    turned = extent(Text(50, 20, "width", 10, "middle", angle=90))
    assert (turned.top, turned.bottom) == pytest.approx((20 - width / 2, 20 + width / 2))
    assert turned.left == pytest.approx(50 - 7.6)


def test_extents_overlap_only_inside() -> None:
    one = Extent(0, 0, 10, 10)
    assert not one.overlaps(Extent(10, 0, 20, 10))
    assert one.overlaps(Extent(10, 0, 20, 10), margin=1)
    assert one.overlaps(Extent(9, 9, 20, 20))
    assert one.contains(Extent(0, 2, 10, 10))
    assert not one.contains(Extent(0, 2, 10.1, 10))


# Texts


def measured(bold: bool) -> list[int]:
    """The advance widths of DejaVu Sans in thousandths of its size, by FreeType."""
    font_manager = pytest.importorskip("matplotlib.font_manager")
    from matplotlib.ft2font import LoadFlags

    properties = font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    font = font_manager.get_font(font_manager.findfont(properties))
    known = font.get_charmap()
    codes = [code for first, last in RANGES for code in range(first, last + 1)]
    units = [font.load_char(code, flags=LoadFlags.NO_SCALE).horiAdvance if code in known else None for code in codes]
    return [700 if one is None else round(one * 1000 / font.units_per_EM) for one in units]


def test_the_widths_are_those_of_the_font() -> None:
    found = {"regular": measured(False), "bold": measured(True)}
    if os.environ.get("ARCHDSL_UPDATE"):
        SAVED.write_text(json.dumps(found, separators=(",", ":")) + "\n", "utf-8")
    assert json.loads(SAVED.read_text("utf-8")) == found


def test_a_text_is_as_wide_as_matplotlib_draws_it() -> None:
    textpath = pytest.importorskip("matplotlib.textpath")
    from matplotlib.font_manager import FontProperties

    for text in ("3×3 conv, 64, /2", "BatchNorm2d → 64×56×56", "layer1.0.downsample"):
        for bold in (False, True):
            font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=1000)
            width, *_ = textpath.text_to_path.get_text_width_height_descent(text, font, ismath=False)
            assert text_width(text, 1000, bold=bold) == pytest.approx(width, rel=0.03)


def test_characters_without_a_width_have_one() -> None:
    assert text_width("層", 10) == 10
    assert text_width("e\N{COMBINING ACUTE ACCENT}", 10) == text_width("e", 10)


def test_text_wraps_at_spaces() -> None:
    lines = wrapped("one two three averyverylongword four", 60, 10)
    assert lines == ["one two", "three", "averyverylongword", "four"]


# Themes


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(theme: str) -> None:
    colours = palette("dark" if theme == "dark" else "light")
    fills = ["surface", "panel", "accent-soft", *FAMILIES["light"]]
    texts = [(text, fill) for text in ("ink", "soft") for fill in fills]
    low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in texts}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    shapes = [("line", "surface"), ("accent", "surface"), *((f"{name}-edge", "surface") for name in FAMILIES["light"])]
    low = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in shapes}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 3} == {}


def test_both_themes_have_all_colours() -> None:
    assert palette("light").keys() == palette("dark").keys()


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


# Files


def elements(svg: str, tag: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall(f".//{SVG}{tag}")


def test_svg_says_all_in_attributes() -> None:
    root = ElementTree.fromstring(svg_text(SCENE, "light"))
    assert (root.get("width"), root.get("viewBox"), root.get("role")) == ("320", "0 0 320 160", "img")
    assert [root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")] == ["a <title>", "what it shows"]
    assert not [one for one in root.iter() if one.get("class") or one.get("style") or one.tag == f"{SVG}style"]
    page, box, *_ = root.findall(f".//{SVG}rect")
    assert (page.get("fill"), page.get("width")) == ("#ffffff", "320")
    assert (box.get("fill"), box.get("rx"), box.get("stroke-width")) == (palette("light")["conv"], "5", "1.5")
    first, second, *_ = root.findall(f".//{SVG}g")
    assert (first.get("id"), first.get("transform")) == ("a", "translate(20 20)")
    assert (second.get("data-scope"), second.findtext(f"{SVG}title")) == ('layer1."0"', "a & b")
    assert root.findtext(f".//{SVG}text") == "3×3 conv, <64> & 50%"


def test_the_theme_auto_is_light_and_has_the_dark_colours_for_those_who_prefer_them() -> None:
    auto, light = svg_text(SCENE, "auto"), svg_text(SCENE, "light")
    [sheet] = elements(auto, "style")
    assert re.sub(r' class="[^"]*"|<style>.*</style>', "", auto) == light
    rules = dict(re.findall(r"\.arch-(?:fill|stroke)-([\w-]+)\{(?:fill|stroke):(#\w+)\}", sheet.text or ""))
    assert rules == {name: palette("dark")[name] for name in rules}
    classes = {one for item in ElementTree.fromstring(auto).iter() for one in item.get("class", "").split()}
    assert {re.sub(r"arch-(fill|stroke)-", "", one) for one in classes} == set(rules)
    assert set(re.findall(r"#\w{6}", svg_text(SCENE, "dark"))) == set(rules.values())


def test_svg_without_a_background_is_for_other_pages() -> None:
    assert len(elements(svg_text(SCENE, background=False), "rect")) == 1


def test_no_two_points_are_run_together() -> None:
    [curve] = [one.get("d", "") for one in elements(svg_text(SCENE, "light"), "path") if "C60,150" in one.get("d", "")]
    assert curve.startswith("M20,100 C60,150 120,150 ")


def test_tikz_defines_the_colours_that_it_uses() -> None:
    tex = tikz_text(SCENE)
    defined = re.findall(r"definecolor\{(\w+)\}\{HTML\}\{([0-9A-F]{6})\}", tex)
    assert ("archconv", palette("light")["conv"][1:].upper()) in defined
    assert {name for name, _ in defined} == set(re.findall(r"(?:fill|draw|text)=(\w+)", tex))
    assert r"{3$\times$3 conv, \textless{}64\textgreater{} \& 50\%}" in tex
    assert r"{\textbf{snake\_case \{$\alpha$\} $\oplus$ \dots{}}}" in tex
    assert "% a & b" in tex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.slow
def test_tikz_compiles(tmp_path: Path) -> None:
    letters = "".join(ESCAPES) + "äßéŁʒ漢🙂ÐÞ!'`()*+,-./:;=?@[]"
    texts = [Text(10, 10 + 12 * i, part) for i, part in enumerate(re.findall(".{1,20}", letters))]
    write_drawing(Scene(320, 200, [*SCENE.items, *texts], "all"), tmp_path / "all.tex", "dark")
    done = compiled(tmp_path / "all.tex")
    assert "Missing character" not in done
    assert "Output written on all.pdf (1 page" in done


def compiled(file: Path) -> str:
    """What pdflatex says about a file, which must have no error."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, check=False, timeout=120)
    output = done.stdout.decode("latin-1").replace("\n", " ")
    assert done.returncode == 0, output[-2000:]
    return output


def test_png_and_pdf_have_the_size_of_the_drawing(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    write_drawing(SCENE, tmp_path / "a.png", "dark")
    with image.open(tmp_path / "a.png") as drawn:
        assert drawn.size == (640, 320)
        assert drawn.getpixel((0, 0))[:3] == rgb(palette("dark")["surface"])
        assert drawn.getpixel((60, 60))[:3] == rgb(palette("dark")["conv"])
        assert drawn.getpixel((32, 54))[:3] == rgb(palette("dark")["join"])
    write_drawing(SCENE, tmp_path / "a.pdf")
    assert b"/MediaBox [ 0 0 320 160 ]" in (tmp_path / "a.pdf").read_bytes()


def test_another_extension_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        write_drawing(SCENE, tmp_path / "a.jpg")
    [diagnostic] = raised.value.diagnostics
    assert diagnostic.code == "E855"
    assert "must be one of .svg, .png, .pdf, .tex" in diagnostic.message
    assert not any(tmp_path.iterdir())


def test_the_extension_may_be_in_capitals(tmp_path: Path) -> None:
    write_drawing(SCENE, tmp_path / "A.SVG", "light")
    assert (tmp_path / "A.SVG").read_text("utf-8") == svg_text(SCENE, "light")
