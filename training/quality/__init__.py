"""Is the data fit to learn from?

A `schema` says what a table holds; `cleaning` mends or leaves out what is declared to be wrong; `check` holds each row against the schema; `split`
cuts what is left into parts that share no patient; `drift` holds a new drop against what was learnt from. What is wrong is named by file, record,
column and reason (`fault`), and never by the value that stood there.
"""
