"""The tools of `[tools.NAME]`, as AutoGen workbenches.

`toolbox` opens the tools of one configuration, `scope` holds what one run has open, `component_resources` closes what
teams from component JSON bring along. Every other module is one kind of tool, or runs a program for one.
"""
