"""Draws the dashboard's panels from what its queries gave (`dashboard.py --results`): a preview, not Grafana's own rendering.

Usage: preview.py RESULTS PNG        (wants matplotlib)
"""

import datetime
import json
import math
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.dates import DateFormatter  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

from PIL import Image as image  # noqa: E402

from stack import ROOT  # noqa: E402

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/icr-bridge.json").read_text())
DARK, PANEL, TEXT = "#111217", "#181b1f", "#ccccdc"
COLOURS = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d"]
NAMES = {"green": "#37872d", "yellow": "#c4a000", "red": "#c4162a", "blue": "#1f60c4"}


def scaled(value, unit):
    """A value as Grafana writes it in this unit."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        return f"{100 * value:.4g} %"
    if unit == "bytes" or unit == "Bps":
        for suffix in ("B", "KiB", "MiB", "GiB", "TiB"):
            if abs(value) < 1024 or suffix == "TiB":
                return f"{value:.3g} {suffix}" + ("/s" if unit == "Bps" else "")
            value /= 1024
    if unit == "s":
        if value and abs(value) < 1:
            return f"{1000 * value:.3g} ms"
        return f"{value:.3g} s" if value < 120 else f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:.3g} h"
    return f"{value:.4g}" + {"cps": " /s", "reqps": " /s"}.get(unit, "")


def legend(target, labels):
    text = target["legendFormat"]
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", "bridge" if name == "instance" else value)
    return text


def draw_stat(axes, panel, series):
    defaults = panel["fieldConfig"]["defaults"]
    latest = [(labels, [value for _, value in values if not math.isnan(value)]) for labels, values in series]
    labels, values = next(((labels, values) for labels, values in latest if values), ({}, [float("nan")]))
    value = values[-1]
    colour = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    axes.set_facecolor(NAMES[colour])
    axes.set_xticks([])
    axes.set_yticks([])
    text = labels.get("version") or scaled(value, defaults["unit"])
    axes.text(0.5, 0.45, text, color="white", fontsize=15, ha="center", va="center", transform=axes.transAxes)


def draw_series(axes, panel, results, times):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    drawn = []
    for target, found in zip(panel["targets"], results):
        for labels, values in found:
            # What is 0 all the time only crowds a legend.
            if len(found) > 3 and not any(value > 0 for _, value in values):
                continue
            at = [datetime.datetime.fromtimestamp(at) for at, _ in values]
            drawn.append((legend(target, labels), at, [value for _, value in values]))
    for (name, at, values), colour in zip(drawn, COLOURS * 4):
        axes.plot(at, values, color=colour, linewidth=1, label=name)
        axes.fill_between(at, values, color=colour, alpha=0.15 if stacked else 0.05)
    axes.set_ylim(bottom=0)
    axes.set_xlim(*map(datetime.datetime.fromtimestamp, times))
    axes.yaxis.set_major_locator(plt.MaxNLocator(4))
    axes.yaxis.set_major_formatter(lambda value, _: scaled(value, unit))
    axes.xaxis.set_major_locator(plt.MaxNLocator(3))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.grid(color="#2c3235", linewidth=0.5)
    if drawn:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=5.5, frameon=False, labelcolor=TEXT, handlelength=1
        )


def main():
    loaded = json.loads(open(sys.argv[1], encoding="utf-8").read())
    results = loaded["results"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in DASHBOARD["panels"])
    figure = plt.figure(figsize=(13, height * 0.23), facecolor=DARK)
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        left, bottom = place["x"] / 24, 1 - (place["y"] + place["h"]) / height
        wide, high = place["w"] / 24, place["h"] / height
        if panel["type"] == "row":
            figure.text(left + 0.006, bottom + high / 2, "⌄ " + panel["title"], color=TEXT, fontsize=10, va="center", weight="bold")
            continue
        figure.add_artist(Rectangle((left + 0.002, bottom + 0.001), wide - 0.004, high - 0.002, facecolor=PANEL, edgecolor="#2c3235", linewidth=0.5, zorder=-1))
        small = panel["type"] == "stat"
        axes = figure.add_axes(
            (left + 0.01, bottom + high * 0.12, wide - 0.02, high * 0.6)
            if small
            else (left + 0.05, bottom + high * 0.27, wide - 0.06, high * 0.58)
        )
        axes.set_facecolor(PANEL)
        axes.tick_params(colors=TEXT, labelsize=6, length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure.text(left + 0.007, bottom + high * (0.86 if small else 0.91), panel["title"], color=TEXT, fontsize=7.5, weight="bold")
        found = results[panel["title"]]
        if small:
            draw_stat(axes, panel, [series for one in found for series in one])
        else:
            draw_series(axes, panel, found, [loaded["since"], loaded["until"]])
    figure.savefig(sys.argv[2], dpi=80, facecolor=DARK)
    # A palette makes it a third as large. Pillow comes with matplotlib.
    image.open(sys.argv[2]).convert("RGB").quantize(160).save(sys.argv[2], optimize=True)


if __name__ == "__main__":
    main()
