"""fastmcp has no models: a loop asks whom it likes."""

import asyncio

from agent import run
from scenario import TASK, Scenario

scenario = Scenario()


def model(task, tools, results):
    return scenario.next([tool.name for tool in tools], results)


scenario.end(asyncio.run(run(model, TASK)))
