"""The configuration: one TOML file and the environment's overrides, loaded into a frozen model.

`config.load.load_config` is the entry; `config.model` has every table. A broken file is reported with all its mistakes.
"""
