# One server for a class, as an image: docs/deploying.md says how it is built, started and kept.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml LICENSE app.py ./
COPY .streamlit .streamlit
COPY pages pages
COPY assets assets
COPY docs docs
COPY results results
COPY dans_data dans_data
COPY dans_core dans_core
COPY dans_lab dans_lab
COPY dans_app dans_app
RUN pip wheel --quiet --no-deps --wheel-dir /wheel .

FROM python:3.11-slim
# The index with torch for CPUs alone; without it torch brings several GB of CUDA.
ARG PIP_EXTRA_INDEX_URL=""
COPY --from=build /wheel /wheel
RUN pip install --quiet --no-cache-dir /wheel/*.whl
# Runs, data sets of one's own, downloads and the key of the cookies: all that is to stay.
ENV DANS_RUNS_DIR=/data/runs \
    DANS_OWN_DIR=/data/own \
    DANS_CACHE_DIR=/data/cache
RUN useradd --create-home --uid 10001 dans \
    && mkdir /data \
    && chown dans /data
USER dans
WORKDIR /home/dans
VOLUME /data
EXPOSE 8501
# Who has not come in is told 401, also of its health: that it answers at all is what counts.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8501, timeout=8); c.request('GET', '/_stcore/health'); raise SystemExit(c.getresponse().status not in (200, 401))"]
# With an access code in DANS_ACCESS_CODE or DANS_TEACHER_CODE: without one it does not start.
CMD ["dans", "serve", "--address", "0.0.0.0", "--key-file", "/data/server.key"]
