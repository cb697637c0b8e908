# segsearch on a processor:   docker build -t segsearch .
# on NVIDIA GPUs, cu130 or the CUDA that fits the driver:
#                             docker build -t segsearch:cuda --build-arg TORCH=https://download.pytorch.org/whl/cu130 \
#                                 --build-arg EXTRAS=export,openvino,gpu .   and run with --gpus all
# A study in this folder:     docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" segsearch search my_study.yaml
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ARG TORCH=https://download.pytorch.org/whl/cpu
ARG EXTRAS=export,openvino
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/segsearch
WORKDIR /src
COPY constraints.txt ./
# torch alone first, from its own index: a change of our code does not fetch it again
RUN version="$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' constraints.txt)" \
    && /opt/segsearch/bin/pip install --index-url "${TORCH}" "torch==${version}"
COPY pyproject.toml README.md LICENSE ./
COPY segsearch segsearch
COPY spaces spaces
COPY studies/quickstart.yaml studies/camvid_cpu.yaml studies/
RUN /opt/segsearch/bin/pip install -c constraints.txt ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/segsearch /opt/segsearch
RUN useradd --create-home --uid 1000 segsearch && install -d -o segsearch -g segsearch /work
# a study's user may be any, so what is kept between runs lies beside it
ENV PATH=/opt/segsearch/bin:$PATH SEGSEARCH_CACHE=/work/.cache/segsearch LOGNAME=segsearch
USER 1000
WORKDIR /work
ENTRYPOINT ["segsearch"]
CMD ["--help"]
