#!/usr/bin/env python3
"""Draws the growth curves of a results directory: growth-NAME.csv becomes growth-NAME.svg.

Needs matplotlib (Debian: python3-matplotlib).
"""

import collections
import csv
import glob
import os
import statistics
import sys

import matplotlib

matplotlib.use("svg")
# the same figures make the same file, and text stays text
matplotlib.rcParams.update({"svg.hashsalt": "cadence_runner", "svg.fonttype": "none"})

from matplotlib import pyplot  # noqa: E402  (the backend has to be chosen first)

TITLES = {
    "runs": ("steps per second by runs in the table", "runs in lead_cadence_runs", "log"),
    "in_flight": ("steps per second by messages in flight, provider of 100 ms",
                  "cadence_runner.max_in_flight", "log"),
    "latency": ("steps per second by the provider's latency, 100 in flight", "milliseconds", "symlog"),
    "workers": ("steps per second by workers", "cadence_runner.workers", "linear"),
    "batch": ("steps per second by batch size", "cadence_runner.batch_size", "log"),
}

# what in flight / latency allows, where that is the limit
LIMITS = {
    "in_flight": lambda x: x * 1000 / 100,
    "latency": lambda x: 100 * 1000 / x if x else None,
}


def read(path):
    """x, and the rates measured there."""
    points = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            points[float(row[0])].append(float(row[2]))
    return sorted(points.items())


def draw(name, points, path):
    """Medians as a line, every measurement as a dot, the limit as a dashed line below the top."""
    title, label, scale = TITLES[name]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot([x for x, _ in points], [statistics.median(rates) for _, rates in points], "o-",
              color="#1f5fa8", markersize=4)
    for x, rates in points:
        axes.plot([x] * len(rates), rates, ".", color="#1f5fa8", alpha=0.4, markersize=4)
    top = max(rate for _, rates in points for rate in rates) * 1.15
    if name in LIMITS:
        limit = [(x, LIMITS[name](x)) for x, _ in points if LIMITS[name](x)]
        axes.plot([x for x, _ in limit], [y for _, y in limit], "--", color="#999999",
                  label="in flight / latency")
        axes.legend(frameon=False)
    axes.set(title=title, xlabel=label, ylabel="steps/s", xscale=scale, ylim=(0, top))
    if scale == "linear":
        axes.set_xticks([x for x, _ in points])
    axes.grid(True, color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main():
    """Draws each curve that is there."""
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "growth-*.csv"))):
        name = os.path.basename(path)[len("growth-"):-len(".csv")]
        points = read(path)
        if name in TITLES and points:
            draw(name, points, path[:-len(".csv")] + ".svg")


if __name__ == "__main__":
    main()
