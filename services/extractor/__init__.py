"""The extractor: cuts conversations into windows and reads topics, typed atoms and links in them.

Every atom cites messages of its window with a quote that stands in them; what cannot be
proven is dropped and counted by reason. Engines share one seam: grounded needs no language
model, generative asks one, and combined lets a model decide only what it was measured to do well.
"""
