# An image with everything in it, for Kubernetes (deploy/kuberay.yaml) or `ray up`.
#   docker build -t drugscan .                                                          # CPU
#   docker build -t drugscan:cuda --build-arg DEVICE=gpu --build-arg TORCH_INDEX= .     # CUDA
# Never built where drugscan was written (no docker there).
ARG DEVICE=cpu
FROM rayproject/ray:2.60.0-py311-${DEVICE}

# PyTorch's own index has builds without CUDA, 2 GB smaller; empty takes the CUDA build of the default index
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /home/ray/drugscan
COPY --chown=ray:users requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir -r requirements.lock ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}}
COPY --chown=ray:users drugscan drugscan
COPY --chown=ray:users jobs jobs
RUN pip install --no-cache-dir --no-deps . && drugscan --version
CMD ["drugscan", "--help"]
