# The lab's images for engines with buildx: `docker buildx bake -f images/docker-bake.hcl`, in the
# lab's folder. Without buildx, and with what this machine has (certificates, no registry):
# `make images`. Of the CPU builds: TORCH_INDEX=ADDRESS VARIANT=cpu docker buildx bake ... sessions
variable "BASE_IMAGE" {
  default = "debian:bookworm-slim"
}

variable "TORCH_INDEX" {
  default = ""
}

variable "VARIANT" {
  default = "latest"
}

group "default" {
  targets = ["sessions", "programs"]
}

group "sessions" {
  targets = ["base", "pytorch", "huggingface"]
}

group "programs" {
  targets = ["hub", "api", "proxy"]
}

target "base" {
  context    = "."
  dockerfile = "images/base/Dockerfile"
  args       = { BASE_IMAGE = BASE_IMAGE }
  tags       = ["gpulab/base:latest"]
}

# "contexts" makes the image below first, and uses it wherever it was built.
target "pytorch" {
  context    = "images"
  dockerfile = "pytorch/Dockerfile"
  contexts   = { "gpulab/base:latest" = "target:base" }
  args       = { TORCH_INDEX = TORCH_INDEX }
  tags       = ["gpulab/pytorch:${VARIANT}"]
}

target "huggingface" {
  context  = "images/huggingface"
  contexts = { "gpulab/pytorch:latest" = "target:pytorch" }
  tags     = ["gpulab/huggingface:${VARIANT}"]
}

target "program" {
  context    = "."
  dockerfile = "images/lab/Dockerfile"
  args       = { BASE_IMAGE = BASE_IMAGE }
}

target "hub" {
  inherits = ["program"]
  target   = "hub"
  tags     = ["gpulab/hub:latest"]
}

target "api" {
  inherits = ["program"]
  target   = "api"
  tags     = ["gpulab/api:latest"]
}

target "proxy" {
  inherits = ["program"]
  target   = "proxy"
  tags     = ["gpulab/proxy:latest"]
}
