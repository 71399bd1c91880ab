"""The client of a Label Studio server: articles there as tasks, annotations home as a checked export.

`Server` speaks to it, `push` and `pull` are the two ways, `LocalStudio` runs a server on this machine. A server accepts
almost anything and says little (double tasks, labels that do not exist, a page of a proxy instead of an answer), so what
was sent is looked up afterwards, and what comes home is counted and checked before it replaces anything.
"""

from gongbao.studio.access import Access, find_access
from gongbao.studio.local import LocalStudio
from gongbao.studio.projects import find_project, open_project
from gongbao.studio.pulling import Pulled, pull
from gongbao.studio.pushing import Pushed, push
from gongbao.studio.server import Server

__all__ = [
    "Access",
    "LocalStudio",
    "Pulled",
    "Pushed",
    "Server",
    "find_access",
    "find_project",
    "open_project",
    "pull",
    "push",
]
