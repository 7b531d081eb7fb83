"""The page of one finished classifier, for jinja2: one file with all pictures in it, for light and dark screens."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #626b76; --line: #d8dee4; --mark: 31, 111, 235; --warn: #9a5b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0f1318; --soft: #9aa4af; --line: #30363d; --mark: 88, 166, 255; --warn: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
.soft, figcaption { color: var(--soft); font-size: .87rem; } .warn { color: var(--warn); font-weight: 600; }
.big { font-size: 2.6rem; font-weight: 700; line-height: 1.1; margin: 1rem 0 .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
thead th { font-weight: 600; vertical-align: bottom; } tbody th { font-weight: 400; }
tr.taken td { font-weight: 600; }
p.soft { margin: .4rem 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .9rem; }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: 4px; }
figcaption { line-height: 1.3; margin-top: .25rem; overflow-wrap: anywhere; }
.pairs { grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
</style></head><body>
<h1>{{ title }}</h1>
<div class="soft">{{ subtitle }}</div>
<div class="big">{{ "%.1f"|format(100 * seen.accuracy) }} %</div>
<div>of {{ seen.labels|length }} test pictures are classified correctly; on ever more pictures like these it would be
{{ "%.1f"|format(100 * low) }} to {{ "%.1f"|format(100 * high) }} % (95 % interval).
Always predicting “{{ largest }}” would give {{ "%.1f"|format(100 * seen.largest_share) }} %.
Mean recall of the classes (balanced accuracy): {{ "%.1f"|format(100 * seen.balanced_accuracy) }} %.</div>
{% for line in seen.cautions %}<p class="warn">{{ line }}</p>{% endfor %}

<h2>The pictures</h2>
<div class="wide"><table><thead><tr><th>class</th>{% for part in parts %}<th>{{ part }}</th>{% endfor %}</tr></thead><tbody>
{% for name, row in counts %}<tr><th>{{ name }}</th>{% for count in row %}<td>{{ count }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% for line in notes %}<p class="soft">{{ line }}</p>{% endfor %}

{% if tried %}<h2>What was tried</h2>
<div class="wide"><table><thead><tr>{% for name in tried[0] %}<th{% if name in ("taken", "note") %} class="text"{% endif %}>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for row in tried %}<tr{% if row.trial == chosen %} class="taken"{% endif %}>{% for name, cell in row.items() %}<td{% if name in ("taken", "note") %} class="text"{% endif %}>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
<p class="soft">Chosen on the validation pictures alone: a trial is taken when its gain over the best before is larger than
the standard error (±) of that gain. Bold: the network that was saved.</p>{% endif %}

<h2>Class by class</h2>
<div class="wide"><table><thead><tr><th>class</th><th>recall</th><th>precision</th><th>F1</th><th>test pictures</th></tr></thead><tbody>
{% for name, row in per_class %}<tr><th>{{ name }}</th>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
<p class="soft">Recall: share of the class's pictures that were recognised. Precision: share of the predictions of this class that were right.</p>

<h2>Confusion matrix</h2>
<div class="wide"><table>
{% if confusion %}<thead><tr><th></th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for name, row in confusion %}<tr><th>{{ name }}</th>{% for share, count in row %}<td style="background: rgba(var(--mark), {{ "%.2f"|format(0.75 * share) }})">{{ count }}</td>{% endfor %}</tr>{% endfor %}
</tbody>
{% else %}<thead><tr><th>class</th><th class="text">taken for</th><th>pictures</th></tr></thead><tbody>
{% for name, predicted, count in confused %}<tr><th>{{ name }}</th><td class="text">{{ predicted }}</td><td>{{ count }}</td></tr>{% endfor %}
</tbody>{% endif %}</table></div>
<p class="soft">{% if confusion %}Test pictures: a row is a class, a column a prediction; the stronger the colour, the larger the share of the
row.{% else %}The most frequent mistakes; all of them are in the CSV beside this page.{% endif %}</p>

{% if mistakes %}<h2>The most wrong predictions</h2>
<div class="pictures">{% for one in mistakes %}<figure><img alt="a test picture" src="{{ one.picture }}"><figcaption>{{ one.label }}<br>taken for {{ one.predicted }}, {{ "%.0f"|format(100 * one.sure) }} % sure{% if one.file %}<br>{{ one.file }}{% endif %}</figcaption></figure>{% endfor %}</div>
{% else %}<h2>The most wrong predictions</h2><p>There are none.</p>{% endif %}

{% if looks %}<h2>Where the network looks</h2>
<div class="pictures pairs">{% for one in looks %}<figure><div class="pair"><img alt="a test picture" src="{{ one.picture }}"><img alt="the same under its map" src="{{ one.map }}"></div><figcaption>{{ one.label }}{% if one.predicted != one.label %}, taken for {{ one.predicted }}{% endif %}</figcaption></figure>{% endfor %}</div>
<p class="soft">The brighter, the more a place speaks for the prediction (Grad-CAM, Selvaraju et al. 2017).</p>{% endif %}
<p class="soft">{{ made }}</p>
</body></html>
"""
