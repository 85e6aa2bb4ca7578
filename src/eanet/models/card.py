"""The model card: what the Hub shows of a model, as a template of jinja2."""

from __future__ import annotations

TEMPLATE = """---
{{ card_data }}
---

# {{ model.config.name }}: {{ model.classes | length }} classes

An image classifier trained with eanet: {{ "{:,}".format(model.num_parameters) }} parameters. Images
of any size are made {{ model.config.image_size }} x {{ model.config.image_size }} pixels
(`fit`: {{ model.config.preprocessing.fit }}).

```python
import eanet

predictor = eanet.load("{{ repo_id or "OWNER/NAME" }}")
print(predictor.predict("some.jpg", top=3))
```

Without eanet: `eanet export {{ repo_id or "OWNER/NAME" }}` writes an ONNX file that takes
photographs as they are.

## Classes

{% for name in model.classes %}- {{ name | replace('\\n', ' ') }}
{% endfor %}
## What it was trained on, and how good it is

Not filled in: `report.html` in the run directory has the figures.
"""
