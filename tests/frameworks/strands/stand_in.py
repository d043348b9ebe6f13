"""A Model of strands."""

from agent import run
from scenario import DONE, TASK, Scenario
from strands.models import Model

scenario = Scenario()


class StandIn(Model):
    def update_config(self, **settings) -> None:
        """There are none."""

    def get_config(self) -> dict[str, str]:
        return {}

    def structured_output(self, *rest, **more):
        raise NotImplementedError  # no tool asks for it

    async def stream(self, messages, tool_specs=None, system_prompt=None, **more):
        blocks = [block["toolResult"] for message in messages for block in message["content"] if "toolResult" in block]
        results = ["".join(shown(part) for part in block["content"]) for block in blocks]
        call = scenario.next([tool["name"] for tool in tool_specs], results, system_prompt)
        start = {"toolUse": {"toolUseId": call.id, "name": call.tool}} if call else {}
        delta = {"toolUse": {"input": call.json}} if call else {"text": DONE}
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": start}}
        yield {"contentBlockDelta": {"delta": delta}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if call else "end_turn"}}


def shown(part) -> str:
    return part["text"] if "text" in part else str(part)


scenario.end(run(StandIn(), TASK))
