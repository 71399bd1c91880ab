"""The service: reports in over HTTP, documents with spans, values and facts out, and a page for people.

settings    what can be configured, by environment; the API keys
batching    texts of many callers read together by one model, with a bounded queue
reading     uploaded files, each read in a process of its own
edge        what every request meets first: guards, limits, headers, errors, log and metrics
page        the page for people
app         the application: `create_app(settings)`
"""
