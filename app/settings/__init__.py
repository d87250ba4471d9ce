"""What did the operator ask for? The environment and one TOML file, validated as a whole."""
