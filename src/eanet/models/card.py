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

{% if has_exported_file -%}
Without eanet, in ONNX Runtime, from photographs as they are:

```python
import numpy as np, onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image, ImageOps

file = hf_hub_download("{{ repo_id or "OWNER/NAME" }}", "model.onnx")
session = onnxruntime.InferenceSession(file)
image = ImageOps.exif_transpose(Image.open("some.jpg")).convert("RGB")
(probabilities,) = session.run(["probabilities"], {"pixels": np.asarray(image)[None]})
classes = session.get_modelmeta().custom_metadata_map["classes"].split("\\n")
print(classes[probabilities[0].argmax()], probabilities.max())
```
{%- else -%}
Without eanet: `eanet export {{ repo_id or "OWNER/NAME" }}` writes an ONNX file that takes
photographs as they are.
{%- endif %}

## Classes

{% for name in names %}- {{ name }}
{% endfor %}
## What it was trained on, and how good it is

Not filled in: `report.html` in the run directory has the figures.
"""
