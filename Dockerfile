# One image for every service of docker-compose.yml: the wheel, its dependencies as pinned, no root.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml requirements-dev.lock README.md LICENSE ./
RUN pip install --no-cache-dir --constraint requirements-dev.lock hatchling
COPY broker broker
COPY node node
COPY publisher publisher
COPY cluster cluster
COPY scenarios scenarios
RUN python -m hatchling build --target wheel

FROM python:3.11-slim
RUN --mount=type=bind,from=build,source=/src,target=/src \
    pip install --no-cache-dir --constraint /src/requirements-dev.lock /src/dist/ucmlab-*.whl \
    && useradd --uid 10001 --create-home ucmlab \
    && install --directory --owner ucmlab --group ucmlab --mode 0700 /lab /lab/run
USER ucmlab
# The lab's home is made whole or not at all, by a rename: it lies below the volume, not at its top.
# The nodes' control sockets lie on the volume too, so that `docker compose exec pub ucmlab ...` reaches every node.
ENV UCMLAB_DIR=/lab/home XDG_RUNTIME_DIR=/lab/run
ENTRYPOINT ["ucmlab"]
CMD ["--help"]
