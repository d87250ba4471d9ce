"""Serves the service: gunicorn's application and worker, and the raw HTTP before Flask."""
