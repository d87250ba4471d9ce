"""Contents of requests and responses, for the API, the command line and the pages."""
