"""Template of the HTML report (jinja2, autoescaped)."""

from __future__ import annotations

__all__ = ["TEMPLATE"]

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--card:#f6f7f9;--ink:#1b1f24;--soft:#59636e;--line:#d9dee4;--mark:#eaf2fb;
  --bar:#0072b2;
--good:#12683f;--bad:#a3231a;--open:#7a5500}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1d2125;--ink:#e6e8eb;--soft:#9aa4ae;--line:#363c43;
  --mark:#17293a;--bar:#4aa3df;
--good:#1c7d4f;--bad:#b93a30;--open:#8a6410}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:20px 24px 60px}
h1{font-size:1.25rem;margin:0 0 14px;font-weight:600}
h2{font-size:1.1rem;margin:34px 0 10px;border-bottom:1px solid var(--line);padding-bottom:5px}
p{margin:6px 0}
.verdict{display:flex;gap:18px;align-items:flex-start;color:#fff;border-radius:10px;padding:18px 22px}
.verdict.sufficient{background:var(--good)}
.verdict.insufficient{background:var(--bad)}
.verdict.inconclusive{background:var(--open)}
.verdict.none{background:#4b545d}
.icon{flex:none;width:52px;height:52px;border:3px solid #fff;border-radius:50%;display:flex;align-items:center;
  justify-content:center;font-size:1.7rem;font-weight:700;line-height:1}
.word{font-size:1.55rem;font-weight:700;line-height:1.2}
.verdict .lead{font-size:1.05rem;margin:4px 0 0}
.verdict ul{margin:8px 0 0;padding-left:18px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 6px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:.85rem;vertical-align:bottom}
th.l,td.l{text-align:left}
tr.unlearned td{background:var(--mark);font-weight:600}
tr.floor td{color:var(--soft);font-style:italic}
tr.gold td{border-top:2px solid var(--soft)}
.sub{display:block;color:var(--soft);font-size:.76rem;font-weight:400;white-space:nowrap}
.bar{position:relative;height:5px;margin-top:4px;background:var(--line);border-radius:3px;min-width:62px}
.bar i{position:absolute;left:0;top:0;bottom:0;background:var(--bar);border-radius:3px}
.bar b{position:absolute;top:-3px;bottom:-3px;width:2px;background:var(--ink)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:8px;margin:0}
dl div{background:var(--card);border-radius:8px;padding:8px 12px}
dt{color:var(--soft);font-size:.8rem}
dd{margin:0;overflow-wrap:anywhere}
.legend{color:var(--soft);font-size:.87rem;margin:10px 0 0;padding:0;list-style:none}
.legend b{color:var(--ink)}
figure{margin:14px 0 22px}
figure img{max-width:min(100%,880px);height:auto;display:block}
figcaption{color:var(--soft);font-size:.87rem;max-width:110ch;margin-top:4px}
.tag{border:1px solid currentColor;border-radius:20px;padding:1px 9px;font-size:.82rem;white-space:nowrap}
details{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 14px}
summary{cursor:pointer;padding:9px 0;font-weight:600}
details[open]{padding-bottom:12px}
.prov{font-size:.87rem}
.prov td{overflow-wrap:anywhere}
@media print{details{break-inside:avoid}
.verdict{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

_GRID = """
{% macro grid(section) %}
<div class="scroll"><table><thead><tr><th class="l" scope="col">metric</th>
{% for label, context in section.models %}<th scope="col">{{ label }}{% if context %}
<span class="sub">{{ context }} input</span>{% endif %}</th>{% endfor %}</tr></thead>
<tbody>{% for name, cells in section.lines %}<tr><td class="l">{{ name }}</td>{% for cell in cells %}
<td>{{ cell.text }}{% if cell.sub %}<span class="sub">{{ cell.sub }}</span>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endmacro %}
"""

TEMPLATE = (
    _GRID
    + """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{ word }}: {{ title }}</title><style>"""
    + _STYLE
    + """</style></head><body><main>
<h1>{{ title }}</h1>
<section class="verdict {{ label }}" aria-label="Verdict"><div class="icon" aria-hidden="true">{{ icon }}</div>
<div><div class="word">{{ word }}</div><p class="lead">{{ headline }}</p>
{% if sentences %}<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>{% endif %}
</div></section>

{% if facts %}<h2>What was asked</h2><dl>{% for key, value in facts %}<div><dt>{{ key }}</dt><dd>{{ value }}</dd>
</div>{% endfor %}</dl>{% endif %}

{% if main.lines %}<h2>Result</h2>
<div class="scroll"><table><thead><tr><th class="l" scope="col">Model</th><th class="l" scope="col">Input</th>
{% for column in main.columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for line in main.lines %}<tr class="{{ line.role }}"><td class="l">{{ line.label }}
{% if line.count > 1 %}<span class="sub">mean of {{ line.count }} seeds</span>{% endif %}</td>
<td class="l">{{ line.context }}</td>
{% for cell in line.cells %}<td>{{ cell.text }}{% if cell.sub %}<span class="sub">{{ cell.sub }}</span>{% endif %}
{% if cell.bar %}<div class="bar" aria-hidden="true"><i style="width:{{ cell.bar.width }}%"></i>
<b style="left:{{ cell.bar.tick }}%"></b></div><span class="sub">{{ cell.bar.ratio }}</span>{% endif %}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table></div>
<ul class="legend">{% for role, meaning in main.legend %}<li><b>{{ role }}</b>: {{ meaning }}</li>{% endfor %}
<li>The mark across each bar is the noise floor. |Δp|, JS and signed Δp are distances to gold: positive signed =
still too sure, negative = over-forgotten.</li></ul>
{% endif %}

{% if checks %}<h2>Checks behind the verdict</h2>
<div class="scroll"><table><thead><tr><th class="l" scope="col">Metric</th><th class="l" scope="col">Measured on</th>
<th scope="col">Value</th><th scope="col">Interval</th>
<th scope="col">Noise floor</th><th scope="col">Margin</th><th scope="col">Signed</th>
<th class="l" scope="col">Outcome</th></tr></thead><tbody>
{% for c in checks %}<tr><td class="l">{{ c.name }}</td><td class="l">{{ c.subset }}</td><td>{{ c.value }}</td>
<td>{{ c.interval }}</td><td>{{ c.floor }}</td><td>{{ c.margin }}</td>
<td>{{ c.signed }}</td><td class="l">
<span class="tag">{{ {"inside": "✔ inside", "outside": "✖ outside", "unclear": "? unclear"}[c.outcome] }}</span> {{
c.direction }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}

{% if figures %}<h2>Before, after, and without the data</h2>
{% for f in figures %}<figure>
<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{{ f.dark }}">
<img alt="{{ f.caption }}" src="data:image/png;base64,{{ f.light }}"></picture>
<figcaption>{{ f.caption }}</figcaption></figure>{% endfor %}{% endif %}

{% if details %}<h2>Details by subset</h2>
{% for section in details %}<details{% if loop.first %} open{% endif %}><summary>{{ section.name }}</summary>
{{ grid(section) }}</details>{% endfor %}{% endif %}

{% if cost %}<h2>Cost</h2>{% for section in cost %}{{ grid(section) }}{% endfor %}{% endif %}

{% if metrics %}<h2>How to read the metrics</h2>
<details><summary>{{ metrics | length }} metrics, with what each can and cannot show</summary>
<ul>{% for m in metrics %}<li>
<b>{{ m.name }}</b> ({{ m.kind }}; aim: {{ m.aim }}). {{
m.description }} {{ m.warning }} <span class="sub">{{ m.source }}</span></li>{% endfor %}</ul></details>{% endif %}

{% if notes %}<h2>Notes</h2><ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}

{% if provenance %}<h2>Provenance</h2><details><summary>Versions, digests, parameters</summary>
<div class="scroll"><table class="prov"><tbody>
{% for key, value in provenance %}<tr><td class="l">{{ key }}</td><td class="l">{{ value }}</td></tr>
{% endfor %}</tbody></table></div></details>{% endif %}
</main></body></html>
"""
)
