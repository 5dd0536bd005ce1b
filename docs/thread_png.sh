#!/bin/sh
# Renews docs/thread.png from the demo, in half a minute. Run it at the top of the checkout; needs chromium.
set -eu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
.venv/bin/python -m evals.picture.thread "$work/thread.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
    --window-size=1000,1600 --screenshot="$work/thread.png" "file://$work/thread.html" 2>"$work/chromium.log"
.venv/bin/python - "$work/thread.png" docs/thread.png <<'PYTHON'
import sys
from PIL import Image, ImageChops

page = Image.open(sys.argv[1]).convert("RGB")
empty = Image.new("RGB", page.size, page.getpixel((0, 0)))
bottom = ImageChops.difference(page, empty).getbbox()[3]
shown = page.crop((0, 0, page.width, bottom + 21))
shown.quantize(208, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)
PYTHON
