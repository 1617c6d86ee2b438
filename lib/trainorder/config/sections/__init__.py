"""The typed sections of a study's configuration: defaults, meaning and checks of every key.

The text below a field is its documentation. `python -m trainorder.config.reference` writes it to
config.yaml, to the schema and to docs/configuration.md. Defaults are those of the default study.
"""
