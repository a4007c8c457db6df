"""The service: recordings over HTTP, live streams over WebSocket. Needs the extra [serve].

``settings``  one table of all settings
``server``  ``uvicorn_server``  checks, the port; uvicorn with deadlines, and its workers
``app``     routes, error handlers and middleware, put together
``middleware``  ``access``  of every request: host, rate, origin, key; headers, metrics, log
``predict``  ``transcriptions``  the routes that take recordings, ours and in OpenAI's shape
``upload_work``  ``uploads``  what each of them goes through, and a body read within limits
``decoder_pool``  ``decoder_process``  untrusted sound is decoded in processes of its own
``streams``  WS /v1/stream
``recognizers``  ``scheduling``  the models, their threads, and the priority of streams over uploads
``info``  ``schemas``  ``errors``  models, limits, health, pages; the JSON of responses and errors
``observability``  metrics and logs
"""
