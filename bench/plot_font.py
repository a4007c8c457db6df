"""Write src/serein/evaluation/report/noto-sans-hans.otf: the letters of GB 2312, of Noto Sans Hans.

python bench/plot_font.py NotoSansHans-Regular.otf   # of the npm package @embedpdf/fonts-sc 1.0.0
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from fontTools.subset import main

ROOT = Path(__file__).parents[1]
LEFT_OUT = "GSUB,GPOS,vhea,vmtx,VORG,BASE,DSIG"  # the tables of what pictures do not use


def letters() -> str:
    """Return all characters of GB 2312: Chinese, and the punctuation beside it."""
    found = ""
    for row in (0xA1, 0xA3, *range(0xB0, 0xF8)):
        for cell in range(0xA1, 0xFF):
            with suppress(UnicodeDecodeError):
                found += bytes([row, cell]).decode("gb2312")
    return found


if __name__ == "__main__":
    main(
        [
            *(sys.argv[1], f"--text={letters()}", "--no-hinting", "--layout-features="),
            *(f"--drop-tables+={LEFT_OUT}", "--notdef-outline", "--name-IDs=0,1,2,4,6,13,14"),
            f"--output-file={ROOT / 'src/serein/evaluation/report/noto-sans-hans.otf'}",
        ]
    )
