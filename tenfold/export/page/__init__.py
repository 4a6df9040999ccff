"""The model as one web page: template, style, scripts, and the runtime of the browser."""
