"""The tools of `[tools.NAME]`, as AutoGen workbenches: what is open for all runs, what for one, and how it is closed.

`toolbox` holds those of one configuration, `scope` what one run has open. Every other module is one kind of tool.
"""
