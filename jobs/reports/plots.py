"""The style of all plots: size, colours for colour-blind readers, a font with Chinese."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Colours from Okabe and Ito 2008.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#6b7480"
SIZE = (4.8, 3.1)  # inches: text stays legible when a phone shows the picture 360 px wide
DPI = 220

# Sans serif families with simplified Chinese, in order of preference.
CHINESE = [
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "SimHei",
]
FILES = ("notosanscjk", "notosanssc", "sourcehansans", "pingfang", "msyh", "wqy", "droidsansfallback", "simhei")
INK = "#1a1f27"
STYLE: Any = {
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a text does not start a formula
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e3e6ea",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def chinese_font() -> str | None:
    """The family of an installed font with Chinese; None without one.

    The system is searched each time: matplotlib's cached list lacks fonts that were installed later.
    """
    from matplotlib import font_manager

    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known and "".join(Path(path).stem.lower().split("-")).startswith(FILES):
            font_manager.fontManager.addfont(path)
    families = {entry.name for entry in font_manager.fontManager.ttflist}
    return next((family for family in CHINESE if family in families), None)


@contextmanager
def figure(file: Path, size: tuple[float, float] = SIZE, **layout: Any) -> Iterator[Any]:
    """The axes of a new figure, which is saved as the PNG file after the block. layout: for pyplot.subplots.

    Without a Chinese font its characters are boxes.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    families = [family for family in (chinese_font(), "DejaVu Sans") if family]
    with pyplot.rc_context({**STYLE, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        drawn, axes = pyplot.subplots(figsize=size, layout="constrained", **layout)
        try:
            yield axes
            drawn.savefig(file, dpi=DPI)
        finally:
            pyplot.close(drawn)
