"""Which lab a story is told in: the simulation on its own event loop, or real processes on asyncio's."""

import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.topology import Settings, Topology, topology
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Listener


def topology_for(story: Story, options: Options) -> Topology:
    """The cluster that a story wants, with what the options say instead.

    Raises:
        Unusable: no such cluster can be.
    """
    asked = {
        "nodes": story.nodes,
        "release": options.release or story.release,
        "profile": options.profile or story.profile,
        "replication": options.replication or story.replication,
        "timing": options.timing or story.timing,
    }
    try:
        return topology(msgspec.convert(asked, Settings))
    except msgspec.ValidationError as error:
        raise Unusable(f"the cluster that {story.name} asks for cannot be: {error}") from error


def run_story(story: Story, options: Options, listener: Listener) -> Result:
    """Tell a story in a lab of its own, which is gone afterwards.

    Raises:
        Unusable: it cannot be told as asked.
    """
    raise NotImplementedError
