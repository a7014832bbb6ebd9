# One image for the API, the coordinator and the Ray workers.
# Processors only, unless TORCH_INDEX names PyTorch's index for your CUDA version.
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /app
COPY pyproject.toml constraints.txt ./
COPY nas nas
COPY api api
COPY search_spaces search_spaces
COPY workers workers
COPY bench bench
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} -e '.[postgres]'
ENV PATH=/venv/bin:$PATH NAS_HOME=/state RAY_USAGE_STATS_ENABLED=0
VOLUME /state
EXPOSE 8000
CMD ["nas", "serve", "--host", "0.0.0.0"]
