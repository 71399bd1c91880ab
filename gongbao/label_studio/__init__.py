"""Label Studio JSON ↔ Document. Nothing here talks to a server.

`read_config` reads a labelling configuration, `read_export` what a server exported, `to_tasks` writes what a
server imports, `to_export` what it would have exported. Offsets in Label Studio are code points, as ours are.

What `read_export` does where there is a choice (a `Reason` for all that is left out or noted):

    a task with several annotations  "best": a ground truth if there is one, else the one that was updated last;
                                     "all": a Document for each, its id is ID@ANNOTATOR
                                     (ID@unknown where the export does not tell who)
    cancelled annotation, draft      left out
    annotation without regions       kept: an article that was read and has nothing to mark
    task with predictions only       left out; "predictions" reads them, the latest of each task, with scores
    text missing, no string, a URL   the task is left out
    overlapping regions              the longer stays (the scheme asks for the longest phrase, and a slip of
                                     the mouse is short), of equal ones the first drawn
    the same region twice            one stays, and takes over the relations of the other
    an id that occurs twice          the later region or document gets a new one, ID~2: noted
    two labels or none on a region   left out: neither can be guessed
    unknown label, other control,    left out
    other type (choices, …),
    offsets outside the text
    white space at a region's edge   kept as it was drawn; `corpus check` reports it
    `value.text`                     never used, line breaks in it are rewritten; if its letters are not those at
                                     the offsets, that is noted, for offsets may have shifted
    relation to the left             read as the arrow that it is, from `to_id` to `from_id`
    relation both ways               a link each way that the scheme allows
    relation with several labels     a link for each
    relation without a label         the one role that the scheme allows between these labels, else left out
    relation with an end that is     left out
    gone, or that no role allows
    JSON_MIN                         has no relations, no region ids, no ground truth, and a task's number where
                                     the data's id was: noted
"""

from gongbao.label_studio.config import LabelConfig, read_config
from gongbao.label_studio.reading import Finding, Import, Reason, read_export
from gongbao.label_studio.writing import to_export, to_tasks

__all__ = [
    "Finding",
    "Import",
    "LabelConfig",
    "Reason",
    "read_config",
    "read_export",
    "to_export",
    "to_tasks",
]
