"""The steps of the service. Each step is one transaction."""
