# docker build -t diffseg-bench . && docker run --rm -v "$PWD/runs:/bench/runs" diffseg-bench
# Other commands: docker run --rm -v "$PWD/runs:/bench/runs" -v DATA:/data diffseg-bench suite=accuracy paths.data=/data
FROM python:3.11-slim-bookworm
WORKDIR /bench
COPY pyproject.toml README.md LICENSE ./
RUN python -m venv .venv && .venv/bin/python -m pip install --no-cache-dir --editable .
COPY . .
ENTRYPOINT [".venv/bin/python", "run_bench.py"]
CMD ["suite=accuracy", "methods=[ldseg,resunet]", "datasets=[phantom_glands]", "profile=tiny", "tracking=none", "paths.runs=runs"]
