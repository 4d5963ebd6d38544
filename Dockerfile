# StepPose without a GPU: docker build -t steppose .
# docker run --rm -v $PWD/result:/steppose/result steppose python -m scripts.draw --help
FROM python:3.11-slim
# where pip finds PyTorch's builds for CPUs; without it the larger ones with CUDA are installed, which run as well
ARG EXTRA_INDEX=""
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /steppose
COPY requirements.txt requirements-page.txt requirements-video.txt ./
RUN pip install --no-cache-dir ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} -r requirements-page.txt -r requirements-video.txt
COPY . .
CMD ["python", "-m", "scripts"]
