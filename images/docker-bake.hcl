# The lab's images for engines with buildx: `docker buildx bake -f images/docker-bake.hcl`.
# Without buildx: scripts/build-image.sh NAME.
variable "BASE_IMAGE" {
  default = "debian:bookworm-slim"
}

group "default" {
  targets = ["base"]
}

target "base" {
  context    = "images/base"
  args       = { BASE_IMAGE = BASE_IMAGE }
  tags       = ["gpulab/base:latest"]
}
