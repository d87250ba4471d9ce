"""Serving: gunicorn's application and worker, and the raw HTTP before Flask."""
