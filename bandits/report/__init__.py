"""The report of a run: one self-contained, interactive HTML page.

    write_report("results/run")      # results/run/report.html

`charts` turns the log into the numbers of the curves, `tables` into HTML tables, `again` says how to run it again, and
`page` puts the page together from these and from `assets`: styles, our script, and uPlot, which draws the curves.
"""

from __future__ import annotations

from .write import write_report

__all__ = ["write_report"]
