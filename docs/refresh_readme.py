"""Put lesson 02's before/after table and its second figure, as executed, into README and docs/pictures (`make build`)."""

import base64
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent

cells = nbformat.read(ROOT / "course" / "solutions" / "02_single_class_collapse.ipynb", as_version=4).cells
[table] = [cell.outputs[0].text for cell in cells if "before-after" in cell.metadata.get("tags", [])]
pictures = [o.data["image/png"] for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]

(ROOT / "docs" / "pictures" / "02_scores.png").write_bytes(base64.b64decode(pictures[1]))
readme = ROOT / "README.md"
block = f"```text\n{table.rstrip()}\n```"
readme.write_text(re.sub(r"```text\n.*?```", lambda _: block, readme.read_text(encoding="utf-8"), flags=re.DOTALL))
