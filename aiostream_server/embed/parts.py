"""The public names of `aiostream_server.embed` that load the agents' libraries; imported at their first use."""

from aiostream_server.observe.observer import Observer
from aiostream_server.store.run_files import current_files
from aiostream_server.teams.charts import chart_tool, chart_tool_over, draw_chart
from aiostream_server.teams.context import TeamContext

__all__ = ["Observer", "TeamContext", "chart_tool", "chart_tool_over", "current_files", "draw_chart"]
