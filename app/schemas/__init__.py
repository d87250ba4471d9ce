"""What requests and responses contain, for the API, the command line and the pages."""
