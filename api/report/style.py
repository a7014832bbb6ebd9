"""How a report looks: light or dark as its reader's system is, and on paper."""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1a2027; --soft: #57606c; --line: #dde1e7; --front: #0a66b0;
  --family: #c85a00; --behind: #8a94a3; font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #0e1217; --ink: #e4e8ed; --soft: #9ca7b4; --line: #2a313b; --front: #58a8ec; --family: #ff9d3f;
    --behind: #75808e; }
}
body { max-width: 920px; margin: 0 auto; padding: 24px 16px 48px; background: var(--page); color: var(--ink);
  font-variant-numeric: tabular-nums; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 32px 0 8px; font-size: 1.1rem; }
.muted, figcaption, th, dt { color: var(--soft); }
.verdict { font-size: 1.1rem; font-weight: 600; }
figure { margin: 0; overflow-x: auto; }
svg { display: block; width: 100%; min-width: 560px; height: auto; }
svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--line); }
.front { --colour: var(--front); }
.family { --colour: var(--family); }
.behind { --colour: var(--behind); }
.line { fill: none; stroke: var(--colour); stroke-width: 2; }
.bar { stroke: var(--colour); stroke-width: 1.5; }
.dot { fill: var(--colour); stroke: var(--page); }
.chosen { stroke: var(--ink); stroke-width: 2; }
figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; }
.key::before { content: "\\25CF"; margin-right: 6px; color: var(--colour); }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 4px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 500; font-size: 0.85rem; }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 16px; margin: 0; overflow-wrap: anywhere; }
dd { margin: 0; }
pre { overflow-x: auto; font-size: 0.8rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  section { break-inside: avoid; }
  details { display: none; }
  .scroll, figure { overflow: visible; }
}
"""
# A page of the service is shown with no style but that of its own files, and this one.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
