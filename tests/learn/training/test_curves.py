from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from glocal.learn.curves import Curves

SVG = "{http://www.w3.org/2000/svg}"


def test_curves_are_lines_of_json_and_a_chart(tmp_path):
    curves = Curves(tmp_path / "curves.jsonl", step=0)
    for step in range(1, 201):
        line = {"step": step, "loss": 1 / step, "loss <views>": 2.0, "lr": 0.1}
        curves.add(line | ({"mAP": step / 200} if step % 50 == 0 else {}))
    lines = [json.loads(text) for text in curves.path.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 201))
    root = ET.fromstring(curves.draw().read_text())  # noqa: S314 - our own
    drawn = [line.get("points").split() for line in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in drawn] == [67, 67, 4]
    places = [tuple(map(float, point.split(","))) for points in drawn for point in points]
    width, height = float(root.get("width")), float(root.get("height"))
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    falling = [float(point.split(",")[1]) for point in drawn[0]]
    assert falling == sorted(falling)  # downwards on the page
    assert {"loss", "loss <views>", "mAP"} <= {text.text for text in root.iter(f"{SVG}text")}


def test_lost_steps_and_cut_off_lines_are_dropped(tmp_path):
    path = tmp_path / "curves.jsonl"
    path.write_text('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\n{"step": 3, "lo')
    Curves(path, step=1).add({"step": 2, "loss": 9})
    assert [json.loads(line)["loss"] for line in path.read_text().splitlines()] == [3, 9]


def test_an_empty_log_gives_a_chart(tmp_path):
    drawn = Curves(tmp_path / "curves.jsonl", step=0).draw()
    assert ET.fromstring(drawn.read_text()).tag == f"{SVG}svg"  # noqa: S314 - our own
