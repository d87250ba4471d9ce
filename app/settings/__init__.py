"""The configuration: environment variables and one TOML file, validated as a whole."""
