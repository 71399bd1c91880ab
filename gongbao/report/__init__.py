"""What is found, to be read by people: the evaluation report, the table of scores, documents with their spans.

The pages are single HTML files that load nothing and open offline, in Chinese and in English. Whatever comes from
data (texts, ids, labels, names) is escaped by the templates, and the page's own policy lets no script run but
its own, known by its hash.
"""

from gongbao.report.evaluation import write_report
from gongbao.report.table import score_table
from gongbao.report.view import extraction_fragment, extraction_view

__all__ = ["extraction_fragment", "extraction_view", "score_table", "write_report"]
