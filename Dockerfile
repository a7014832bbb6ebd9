# One image for the API, the coordinator and the Ray workers.
# Processors only, unless TORCH_INDEX names PyTorch's index for your CUDA version.
ARG BASE=python:3.12.12-slim-bookworm
FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PATH=/venv/bin:$PATH NAS_HOME=/state RAY_USAGE_STATS_ENABLED=0
WORKDIR /app
# What the sources need lies below them, so that an edit does not fetch torch again.
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv /venv \
 && pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} '.[all]'
COPY LICENSE ./
COPY nas nas
COPY api api
COPY search_spaces search_spaces
COPY workers workers
RUN pip install --no-cache-dir --no-deps -e .
# What `nas --version` names: NAS_BUILD=$(git rev-parse --short HEAD) docker compose build
ARG NAS_BUILD
ENV NAS_BUILD=$NAS_BUILD
RUN useradd --uid 10001 --create-home nas && mkdir /state && chown nas /state
USER nas
VOLUME /state
EXPOSE 8000
# Of the service; docker-compose.yml says what is asked of the others.
HEALTHCHECK --interval=30s --timeout=30s --retries=3 --start-period=60s CMD ["nas", "health"]
CMD ["nas", "serve", "--host", "0.0.0.0"]
