"""The service: recordings over HTTP, voices over WebSocket. Needs the extra [serve].

``settings``   one table of what can be set
``server``     binds the port, starts the workers, says when they answer
``protocol``   uvicorn's protocols with deadlines
``app``        the routes, put together
``entrance``   the way in and out of every request: guards, headers, metrics, a line of log
``guards``     key, origin, host, rate
``refusal``    every way to say no, as JSON
``body``       an upload, read into memory within limits
``decoders``   a pool of processes of ``decoding``, where untrusted sound is decoded
``judges``     recognisers, and the threads where they judge; ``turns`` lets voices go first
``predict``    POST /v1/predict
``streams``    the settings of /v1/stream; ``session`` is one stream
``about``      the routes that say what the service is and can
``pages``      the page, and the page of the API
``metrics``  ``logs``  ``store``   what is counted, logged, and kept if asked for
"""
